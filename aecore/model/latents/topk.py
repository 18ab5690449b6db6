"""The k-sparse code: only the largest numbers stay."""

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
    """z = W h + b of `dim` numbers, of which the k largest stay (Makhzani & Frey 2013).

    All others are 0 and have no gradient through z.

    alpha: in evaluation the round(alpha * k) largest stay, as there.
    revive: weight of the cost `revival`, which lifts units that stayed for no image of the last
        `patience` batches: for each of them, how far it is below the least number that stays, in
        the mean over these units. After the pre-activation loss of Conerly et al. 2025 (Anthropic,
        Circuits Updates, January); without such a cost they would have no gradient. 0 for none.
    """

    unseen: Tensor

    @component
    def __init__(
        self,
        *,
        dim: PositiveInt,
        k: PositiveInt,
        alpha: PositiveFloat,
        revive: NonNegativeFloat,
        patience: PositiveInt,
    ) -> None:
        """Raises ConfigError where more numbers are to stay than there are, or none."""
        super().__init__()
        if k > dim or round(alpha * k) < 1:
            raise ConfigError(
                "latent.k",
                k,
                f"from 1 to {dim} numbers can stay, and of them latent.alpha={alpha} keeps "
                f"{round(alpha * k)} in evaluation",
            )
        self.dim = dim
        self.revive = revive
        self.cost_names = ("revival",) if revive else ()
        self.patience = patience
        self.keep = Largest(k, min(round(alpha * k), dim))
        self.register_buffer("unseen", torch.zeros(dim, dtype=torch.int64))

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), self.dim))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        a = self.project(h)
        z, least = self.keep.parted(a)
        stays = z.detach() != 0
        if self.training and sample:
            self._look(stays)
        if not self.revive:
            return Code(z, z)
        dead = (self.unseen >= self.patience).to(a)
        missing = ((least.detach() - a).clamp_min(0) * dead).sum(1) / dead.sum().clamp_min(1)
        return Code(z, z, costs={"revival": self.revive * missing})

    @torch.no_grad()
    def _look(self, stays: Tensor) -> None:
        """Count for how many batches each unit has stayed for no image; stays: (N, dim)."""
        seen = summed(stays.sum(0)) > 0
        self.unseen.add_(1).masked_fill_(seen, 0)

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return torch.where(self.keep(z.abs()) > 0, z, 0)  # z may be negative, and zeros larger


class Largest(nn.Module):
    """Keeps the k largest of each row while training, `k_test` in evaluation."""

    def __init__(self, k: int, k_test: int) -> None:
        super().__init__()
        self.k, self.k_test = k, k_test

    def forward(self, a: Tensor) -> Tensor:
        """(N, dim) -> the same with zeros in all other places."""
        return self.parted(a)[0]

    def parted(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """(N, dim) -> the same with zeros in all other places, and the least that stays, (N, 1)."""
        values, places = a.topk(self.k if self.training else self.k_test, dim=1)
        return torch.zeros_like(a).scatter(1, places, values), values[:, -1:]
