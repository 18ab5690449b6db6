"""The dimensions of a code, the most informative ones first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aecore.evaluation.trial import Trial


@dataclass(frozen=True, slots=True)
class Dimensions:
    """D latent dimensions over the images; a spatial code is flattened.

    codes: (N, D) mean codes, on the CPU.
    score: (D,) how informative each is: its KL to the prior in nats, or its variance.
    order: (D,) int64, by falling score.
    has_kl: whether the score is the KL.
    """

    codes: Tensor
    score: Tensor
    order: Tensor
    has_kl: bool

    @property
    def kind(self) -> str:
        """Description of the score."""
        return "KL" if self.has_kl else "variance"


def dimensions(trial: Trial) -> Dimensions:
    """Measure the mean codes of all images; by the KL where each dimension has one."""
    model, generator = trial.model, trial.generator()  # a KL may be an estimate from draws
    codes, costs = [], []
    for x, y in trial.batches():
        code = model.encode(x, generator, y)
        codes.append(code.mean.flatten(1).float().cpu())
        if code.posterior is not None:
            costs.append(model.prior_density.kl(code).flatten(1).float().cpu())
    means = torch.cat(codes)
    has_kl = bool(costs) and costs[0].shape == codes[0].shape  # else several share one KL
    score = torch.cat(costs).mean(0) if has_kl else means.var(0, correction=0)
    order = score.argsort(descending=True, stable=True)
    return Dimensions(means, score, order, has_kl)
