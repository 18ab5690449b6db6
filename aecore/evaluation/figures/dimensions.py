"""The dimensions of a code, those that say most first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from aecore.evaluation.figures.view import View
from aecore.model.conditioning import in_parts

if TYPE_CHECKING:
    from aecore.model.autoencoder import Autoencoder

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What D dimensions do over the test images; a spatial code is flattened.

    codes: (N, D) mean codes, on the CPU.
    score: (D,) how much each says: its KL to the prior in nats, or its variance.
    order: (D,) int64, by falling score.
    has_kl: whether the score is the KL.
    """

    codes: Tensor
    score: Tensor
    order: Tensor
    has_kl: bool

    @property
    def kind(self) -> str:
        """What the score is, in words."""
        return "KL" if self.has_kl else "variance"


def dimensions(view: View) -> Dimensions:
    """Measure the mean codes of all test images; by the KL where each dimension has one."""
    batches = in_parts(view.images, view.labels, _BATCH)
    return dimensions_of(view.model, batches, view.generator())


def dimensions_of(
    model: Autoencoder,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    generator: Generator,
) -> Dimensions:
    """The same of batches of pixels (n, C, H, W) with labels (n,), or None.

    generator: a KL may be an estimate from draws.
    """
    codes, costs = [], []
    for x, y in batches:
        code = model.encode(x, generator, y)
        codes.append(code.mean.flatten(1).float().cpu())
        if code.posterior is not None:
            costs.append(model.prior_density.kl(code).flatten(1).float().cpu())
    means = torch.cat(codes)
    has_kl = bool(costs) and costs[0].shape == codes[0].shape  # else several share one KL
    score = torch.cat(costs).mean(0) if has_kl else means.var(0, correction=0)
    order = score.argsort(descending=True, stable=True)
    return Dimensions(means, score, order, has_kl)
