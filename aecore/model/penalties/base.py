"""The base class of penalties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from aecore.errors import UserError
from aecore.model.module import ModelPart
from aecore.model.passes import Pass


class Penalty(ModelPart, ABC, options=False):
    """A cost of a pass, for each image; weight and schedule are a `Weight`.

    matches_prior: whether it matches the distribution of all codes to the prior, so that samples
        of the prior can be decoded even if the latent is deterministic.
    is_kl: whether it is exactly KL(q(z | x) || p(z)).
    holds_prior: whether it contains this KL in any form, so that another KL would count twice.
    """

    matches_prior: ClassVar[bool] = False
    is_kl: ClassVar[bool] = False
    holds_prior: ClassVar[bool] = False

    @abstractmethod
    def forward(self, p: Pass) -> Tensor:
        """The unweighted cost of each image, (N,)."""

    def path(self, name: str) -> str:
        """The key of its options, where its term has that name."""
        return f"penalty.{name}"

    def attach(self, images: int, epochs: int) -> None:
        """Called before training with the numbers of training images and of epochs."""
        return None

    def set_epoch(self, epoch: float) -> None:
        """Set the number of (fractional) epochs of training so far; infinity after training."""
        return None


def by_name(penalties: Mapping[str, Penalty]) -> nn.ModuleDict:
    """Penalties as a module; UserError for a name that torch does not allow."""
    modules = nn.ModuleDict()
    for name, penalty in penalties.items():
        try:
            modules[name] = penalty
        except KeyError as error:  # `train`, which is a method, or an empty name
            raise UserError(
                f"penalty.{name}: not a valid name of a penalty ({error.args[0]})", "choose another"
            ) from None
    return modules


def without_autocast(z: Tensor) -> torch.autocast:
    """A context without autocast, for products in full precision."""
    return torch.autocast(z.device.type, enabled=False)


def per_image(cost: Tensor, p: Pass) -> Tensor:
    """Expand a cost of the whole batch, a scalar, to its images, (N,)."""
    return cost.expand(len(p.x))
