"""Multiplicative noise."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import NonNegativeFloat
from aecore.model.noise.base import Noise, Span


class Speckle(Noise):
    """x (1 + std * eps), eps ~ N(0, 1) for each pixel, the noise of radar (Goodman 1976)."""

    std: NonNegativeFloat

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        return x + self.std * x * torch.empty_like(x).normal_(generator=generator)
