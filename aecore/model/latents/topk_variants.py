"""Sparse codes after `topk`: k values on average over a batch, and nested prefixes of the code."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.errors import ConfigError
from aecore.model.latents.quantised import summed
from aecore.model.latents.topk import KeepsLargest, Largest, decoded_cost
from aecore.model.passes import Pass

_FOLLOWED = 10  # steps that the running mean looks back, few as the weights move


class BatchTopK(KeepsLargest):
    """Of a batch of N images the N k largest values are kept (Bussmann et al. 2024).

    So images may have more or fewer active values than k. In evaluation a value is kept if it is
    larger than a threshold, the running mean of the smallest value kept in a step of training, so
    that the code of an image does not depend on others. For the other keys see `topk`.
    """

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.keep = self.above = BatchLargest(self.k)

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return torch.where(z > self.above.threshold, z, 0)


class BatchLargest(Largest):
    """Keeps the N k largest values of N rows while training, those above `threshold` afterwards.

    threshold: 0 before the first step of training. steps: how many it has followed.
    """

    threshold: Tensor
    steps: Tensor

    def __init__(self, k: int) -> None:
        super().__init__(k, k)
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @override
    def with_threshold(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """(N, dim) -> the same with all other values 0, and the smallest kept value, (N, 1)."""
        if not self.training:
            return torch.where(a > self.threshold, a, 0), self.threshold.expand(len(a), 1)
        values, places = a.flatten().topk(self.k * len(a))
        z = torch.zeros_like(a).flatten().scatter(0, places, values)
        return z.view_as(a), values[-1].expand(len(a), 1)

    @override
    @torch.no_grad()
    def follow(self, least: Tensor) -> None:
        both = summed(torch.stack([least[0, 0], torch.ones_like(least[0, 0])]))
        self.steps.add_(1)
        rate = (1 / self.steps).clamp_min(1 / _FOLLOWED)
        self.threshold.lerp_((both[0] / both[1]).to(self.threshold), rate.to(self.threshold))


class Matryoshka(KeepsLargest):
    """`topk` whose first units alone reconstruct, too: nested prefixes (Bussmann et al. 2025).

    groups: number of prefixes, of dim, dim / 2, dim / 4, ... units; of all but the whole the
        reconstruction loss is added, in the cost `prefixes`. 1 is `topk`. For the other keys see
        there. Early units become general, later ones specific (Kusupati et al. 2022).
    """

    groups: PositiveInt

    @override
    def __post_init__(self) -> None:
        """Raises ConfigError if a prefix would be empty."""
        super().__post_init__()
        self.prefixes = [self.dim >> n for n in range(1, self.groups)]
        if 0 in self.prefixes:
            problem = f"{self.dim} units cannot be halved so often"
            raise ConfigError("latent.groups", self.groups, problem, "use fewer groups")
        self.cost_names = (*self.cost_names, *(("prefixes",) if self.prefixes else ()))

    @override
    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        costs = super().costs(p)
        if not self.prefixes:
            return costs
        units = torch.arange(self.dim, device=p.x.device)
        parts = [decoded_cost(p, p.code.z * (units < size)) for size in self.prefixes]
        return {**costs, "prefixes": torch.stack(parts).sum(0)}
