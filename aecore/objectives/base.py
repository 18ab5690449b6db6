"""What every objective promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder
    from aecore.types import Pass


@dataclass(frozen=True, slots=True)
class Terms:
    """The named terms of a loss, each a mean over images of a sum over the image, unweighted.

    values: scalars, `reconstruction` first; weights: what each counts in the loss.
    critics: what critics are to make small, scalars; no part of the loss, they train beside it.
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float]
    critics: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def loss(self) -> Tensor:
        """The weighted sum, a scalar."""
        parts = [
            value if self.weights[name] == 1 else self.weights[name] * value
            for name, value in self.values.items()
            if self.weights[name] != 0
        ]
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

    @property
    def told(self) -> dict[str, Tensor]:
        """All that is worth logging beside the loss, each a scalar."""
        return {**self.values, **self.critics}


class Objective(ABC):
    """A pure function of (parameters, batch, generator, weights)."""

    @abstractmethod
    def __call__(
        self,
        model: Autoencoder,
        x: Tensor,
        generator: Generator | None,
        weights: Mapping[str, float],
        noisy: bool,
    ) -> Terms:
        """x: (N, C, H, W) pixels; `noisy`: whether the noise is applied; weights of penalties."""


def critic_losses(p: Pass) -> dict[str, Tensor]:
    """What each critic of the model is to make small in this pass, a mean over images."""
    adversaries = p.model.adversaries
    return {f"{name}_critic": one.critic_loss(p).mean() for name, one in adversaries.items()}
