"""The k-sparse code: all but the k largest values are set to zero."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from aecore.errors import ConfigError
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.latents.quantised import summed
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.model.passes import Pass
from aecore.types import Shape


class KeepsLargest(Latent):
    """z = W h + b with `dim` values, of which some of the largest are kept, k in training.

    All others are 0 and have no gradient through z.

    restart_weight: weight of the cost `restart` of dead units, which were active for no image of
        the last `patience` batches: the mean over them of the difference between the smallest value
        that is kept and theirs. After the pre-activation loss of Conerly et al. 2025 (Anthropic,
        Circuits Updates, January); without it dead units have no gradient. 0 for none.
    aux_k: with it dead units are trained to reduce the error that is left: the cost `aux_k` is the
        reconstruction loss once the `aux_k` largest values of dead units are added to the code
        (Gao et al. 2024, app. A.2: of a linear decoder the same error). 0 for none.
    aux_weight: weight of that cost.
    """

    dim: PositiveInt
    k: PositiveInt
    restart_weight: NonNegativeFloat
    patience: PositiveInt
    aux_k: NonNegativeInt = 0
    aux_weight: NonNegativeFloat = 1 / 32

    def __post_init__(self) -> None:
        """Raises ConfigError if more than `dim` values or none would be kept."""
        if self.k > self.dim:
            raise ConfigError("latent.k", self.k, f"from 1 to {self.dim} values can be kept")
        weights = {"restart": self.restart_weight, "aux_k": self.aux_k}
        self.cost_names = tuple(name for name, weight in weights.items() if weight)
        self.keep: Largest = Largest(self.k, self.k)
        self.inactive: Tensor
        self.register_buffer("inactive", torch.zeros(self.dim, dtype=torch.int64))

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
            self.keep.follow(least)
        if not self.restart_weight:
            return Code(z, z, raw=a)
        dead = self.dead.to(a)
        missing = ((least.detach() - a).clamp_min(0) * dead).sum(1) / dead.sum().clamp_min(1)
        return Code(z, z, costs={"restart": self.restart_weight * missing}, raw=a)

    @property
    def dead(self) -> Tensor:
        """Which units were active for no image of the last `patience` batches, (dim,) bool."""
        return self.inactive >= self.patience

    @override
    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        if not self.aux_k:
            return {}
        if not bool(self.dead.any()):
            return {"aux_k": p.x.new_zeros(len(p.x))}
        assert p.code.raw is not None
        among_dead = p.code.raw.masked_fill(~self.dead, -torch.inf)
        values, places = among_dead.topk(min(self.aux_k, self.dim), dim=1)
        values = values.masked_fill(values == -torch.inf, 0)
        revived = p.code.z.detach().scatter(1, places, values)
        return {"aux_k": self.aux_weight * decoded_cost(p, revived)}

    @torch.no_grad()
    def _count_inactive(self, active: Tensor) -> None:
        """Count the batches since each unit was active for an image; active: (N, dim)."""
        seen = summed(active.sum(0)) > 0
        self.inactive.add_(1).masked_fill_(seen, 0)

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return torch.where(self.keep(z.abs()) > 0, z, 0)  # z may be negative: compare by magnitude


class TopK(KeepsLargest):
    """The k largest values are kept (Makhzani & Frey 2013). For the other keys see `KeepsLargest`.

    alpha: in evaluation the round(alpha * k) largest are kept, as in the paper.
    """

    alpha: PositiveFloat

    @override
    def __post_init__(self) -> None:
        """Raises ConfigError if more than `dim` values or none would be kept."""
        super().__post_init__()
        kept = round(self.alpha * self.k)
        if kept < 1:
            raise ConfigError(
                "latent.k",
                self.k,
                f"from 1 to {self.dim} values can be kept; in evaluation latent.alpha={self.alpha} "
                f"keeps {kept}",
            )
        self.keep = Largest(self.k, min(kept, self.dim))


class Largest(nn.Module):
    """Keeps the k largest of each row while training, `k_test` in evaluation."""

    def follow(self, least: Tensor) -> None:
        """See the smallest kept value of each row in a step of training, (N, 1)."""
        return None

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


def decoded_cost(p: Pass, z: Tensor) -> Tensor:
    """The reconstruction loss of a pass with other codes (N, *code_shape), (N,)."""
    cost: Tensor = p.model.reconstruction(p.model.output(z, p.code.context), p.x)
    return cost
