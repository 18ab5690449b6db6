"""Pixels with Gaussian errors."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from aecore.reconstruction.base import Reconstruction
from aecore.words import PositiveFloat, word


class Gaussian(Reconstruction):
    """-log N(x; output, scale^2 I) in nats per image, constant included.

    scale: a standard deviation shared by all pixels, fixed, or 'learned' with the weights
    (Rybkin et al. 2021, sigma-VAE); learning starts from 1.
    """

    @word
    def __init__(self, *, scale: PositiveFloat | Literal["learned"]) -> None:
        super().__init__()
        learned = scale == "learned"
        start = torch.tensor(0.0 if isinstance(scale, str) else math.log(scale))
        self.log_scale = nn.Parameter(start, requires_grad=learned)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        error = (output - x).square().flatten(1).sum(1)
        pixels = x[0].numel()
        # bounded below, so that a perfect fit does not end in an infinite density
        log_scale = self.log_scale.clamp(min=-7.0)
        return 0.5 * error * (-2 * log_scale).exp() + pixels * (
            log_scale + 0.5 * math.log(2 * math.pi)
        )

    def log_constant(self, pixels: int) -> float:
        return 0.0
