"""The dimensions of a code, those that say most first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aecore.figures.view import View

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What D dimensions do over the test images; a spatial code is flattened.

    codes: (N, D) mean codes.
    score: (D,) how much each says: its KL to the prior in nats, or its variance.
    order: (D,) int64, by falling score.
    kind: what the score is.
    """

    codes: Tensor
    score: Tensor
    order: Tensor
    kind: str


def dimensions(view: View) -> Dimensions:
    """Measure the mean codes of all test images; by the KL where there is a posterior."""
    variational = view.model.latent.variational
    codes, costs = [], []
    for part in torch.split(view.images, _BATCH):
        code = view.model.encode(part)
        codes.append(code.mean.flatten(1).float().cpu())
        if variational:
            costs.append(view.model.prior.kl(code).flatten(1).float().cpu())
    means = torch.cat(codes)
    score = torch.cat(costs).mean(0) if variational else means.var(0, correction=0)
    order = score.argsort(descending=True, stable=True)
    return Dimensions(means, score, order, "KL" if variational else "variance")
