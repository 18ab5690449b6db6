"""Squared error for small errors, absolute error for large ones."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.model.reconstruction.base import Reconstruction


class LogCosh(Reconstruction):
    """log cosh(error) summed over the image: e^2 / 2 near 0, |e| - log 2 far away, smooth between.

    The likelihood 1 / (pi cosh(e)), up to a constant: a hyperbolic secant.
    """

    name = "logcosh"

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return log_cosh(output - x).flatten(1).sum(1)

    @override
    def log_constant(self, pixels: int) -> float:
        return -pixels * math.log(math.pi)


def log_cosh(e: Tensor) -> Tensor:
    """log(cosh(e)) without overflow, and with a gradient at 0."""
    return e + F.softplus(-2 * e) - math.log(2)
