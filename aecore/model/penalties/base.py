"""What every penalty promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aecore.errors import UserError
from aecore.model.passes import Model, Pass


class Penalty(nn.Module, ABC):
    """A cost of a pass, for each image; its weight and schedule live outside (`Weight`).

    matches_prior: whether it makes the codes of all images together look like draws of the prior,
        so that those make images although no code has a posterior.
    is_kl: whether it is KL(q(z | x) || p(z)) itself, all of it and no more.
    holds_prior: whether it is that KL in any form, which beside another would count twice.
    """

    matches_prior: bool = False
    is_kl: bool = False
    holds_prior: bool = False

    @abstractmethod
    def forward(self, p: Pass) -> Tensor:
        """The unweighted cost, (N,), summed over what belongs to one image."""

    def attach(self, images: int) -> None:
        """Told before training how many images there are to train on."""
        return None

    def set_epoch(self, epoch: float) -> None:
        """Told before each loss how many (fractional) epochs lie behind; infinity at the end."""
        return None

    def check(self, model: Model) -> None:
        """Raise UserError where this penalty and the other words cannot go together."""
        return None


def by_name(penalties: Mapping[str, Penalty]) -> nn.ModuleDict:
    """Penalties as a part of a model; UserError for a name that torch cannot give a part."""
    found = nn.ModuleDict()
    for name, penalty in penalties.items():
        try:
            found[name] = penalty
        except KeyError as error:  # `train`, which is a method, or nothing
            raise UserError(
                f"penalty.{name}: no name for a penalty ({error.args[0]})", "choose another"
            ) from None
    return found


def precise(z: Tensor) -> Tensor:
    """The same numbers in float32 at least: statistics of many codes are small differences."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def unmixed(z: Tensor) -> torch.autocast:
    """A context in which products are not rounded to the precision of the training."""
    return torch.autocast(z.device.type, enabled=False)


def shared(cost: Tensor, p: Pass) -> Tensor:
    """A cost of the batch as a whole, a scalar, as that of each of its images, (N,)."""
    return cost.expand(len(p.x))
