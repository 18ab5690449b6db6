"""The k-sparse code: all but the k largest values are set to zero."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, PositiveFloat, PositiveInt, component
from aecore.errors import ConfigError
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.latents.quantised import summed
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape


class TopK(Latent):
    """z = W h + b with `dim` values, of which the k largest are kept (Makhzani & Frey 2013).

    All others are 0 and have no gradient through z.

    alpha: in evaluation the round(alpha * k) largest are kept, as in the paper.
    restart_weight: weight of the cost `restart` of dead units, which were active for no image of
        the last `patience` batches: the mean over them of the difference between the smallest value
        that is kept and theirs. After the pre-activation loss of Conerly et al. 2025 (Anthropic,
        Circuits Updates, January); without it dead units have no gradient. 0 for none.
    """

    inactive: Tensor

    @component
    def __init__(
        self,
        *,
        dim: PositiveInt,
        k: PositiveInt,
        alpha: PositiveFloat,
        restart_weight: NonNegativeFloat,
        patience: PositiveInt,
    ) -> None:
        """Raises ConfigError if more than `dim` values or none would be kept."""
        super().__init__()
        if k > dim or round(alpha * k) < 1:
            raise ConfigError(
                "latent.k",
                k,
                f"from 1 to {dim} values can be kept; in evaluation latent.alpha={alpha} keeps "
                f"{round(alpha * k)}",
            )
        self.dim = dim
        self.restart_weight = restart_weight
        self.cost_names = ("restart",) if restart_weight else ()
        self.patience = patience
        self.keep = Largest(k, min(round(alpha * k), dim))
        self.register_buffer("inactive", torch.zeros(dim, dtype=torch.int64))

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), self.dim))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        a = self.project(h)
        z, least = self.keep.with_threshold(a)
        active = z.detach() != 0
        if self.training and sample:
            self._count_inactive(active)
        if not self.restart_weight:
            return Code(z, z)
        dead = (self.inactive >= self.patience).to(a)
        missing = ((least.detach() - a).clamp_min(0) * dead).sum(1) / dead.sum().clamp_min(1)
        return Code(z, z, costs={"restart": self.restart_weight * missing})

    @torch.no_grad()
    def _count_inactive(self, active: Tensor) -> None:
        """Count the batches since each unit was active for an image; active: (N, dim)."""
        seen = summed(active.sum(0)) > 0
        self.inactive.add_(1).masked_fill_(seen, 0)

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return torch.where(self.keep(z.abs()) > 0, z, 0)  # z may be negative: compare by magnitude


class Largest(nn.Module):
    """Keeps the k largest of each row while training, `k_test` in evaluation."""

    def __init__(self, k: int, k_test: int) -> None:
        super().__init__()
        self.k, self.k_test = k, k_test

    def forward(self, a: Tensor) -> Tensor:
        """(N, dim) -> the same with all other values 0."""
        return self.with_threshold(a)[0]

    def with_threshold(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """(N, dim) -> the same with all other values 0, and the smallest kept value, (N, 1)."""
        values, places = a.topk(self.k if self.training else self.k_test, dim=1)
        return torch.zeros_like(a).scatter(1, places, values), values[:, -1:]
