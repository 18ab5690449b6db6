"""Gaussian likelihoods of pixels."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import PositiveFloat
from aecore.model.reconstruction.base import Reconstruction

_LOWEST = -7.0  # the smallest log-scale that can be learned


class GaussianLikelihood(Reconstruction):
    """-log N(x; output, scale^2 I) in nats per image, constant included.

    scale: a standard deviation shared by all pixels, fixed, or 'learned' with the weights
    (Rybkin et al. 2021, sigma-VAE); initially 1.
    """

    name = "gaussian"

    scale: PositiveFloat | Literal["learned"]

    def __post_init__(self) -> None:
        self.raw: Tensor
        if isinstance(self.scale, str):  # the inverse softplus of the distance to the bound
            self.raw = nn.Parameter(torch.tensor(math.log(math.expm1(-_LOWEST))))
        else:  # the log-scale itself, an option and no weight
            self.register_buffer("raw", torch.tensor(math.log(self.scale)), persistent=False)

    @property
    def log_scale(self) -> Tensor:
        """The logarithm of the standard deviation, a scalar.

        A learned one has a smooth lower bound, so that a perfect fit has a finite density.
        """
        return F.softplus(self.raw) + _LOWEST if self.scale == "learned" else self.raw

    @property
    def variance(self) -> float:
        """scale^2."""
        return math.exp(2 * float(self.log_scale.detach()))

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        error = (output - x).square().flatten(1).sum(1)
        pixels = x[0].numel()
        log_scale = self.log_scale
        return 0.5 * error * (-2 * log_scale).exp() + pixels * (
            log_scale + 0.5 * math.log(2 * math.pi)
        )
