"""Squared and absolute error."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.model.reconstruction.base import Reconstruction


class MSE(Reconstruction):
    """Squared error summed over the image: a Gaussian of variance 1/2, up to a constant."""

    name = "mse"
    variance = 0.5

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return F.mse_loss(output, x, reduction="none").flatten(1).sum(1)

    @override
    def log_constant(self, pixels: int) -> float:
        return -0.5 * pixels * math.log(math.pi)


class L1Loss(Reconstruction):
    """Absolute error summed over the image: a Laplace of scale 1, up to a constant."""

    name = "l1"

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return F.l1_loss(output, x, reduction="none").flatten(1).sum(1)

    @override
    def log_constant(self, pixels: int) -> float:
        return -pixels * math.log(2)
