"""What every objective promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder


@dataclass(frozen=True, slots=True)
class Terms:
    """The named terms of a loss, each a mean over images of a sum over the image, unweighted.

    values: scalars, `reconstruction` first; weights: what each counts in the loss.
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float]

    @property
    def loss(self) -> Tensor:
        """The weighted sum, a scalar."""
        parts = [
            value if self.weights[name] == 1 else self.weights[name] * value
            for name, value in self.values.items()
            if self.weights[name] != 0
        ]
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]


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
