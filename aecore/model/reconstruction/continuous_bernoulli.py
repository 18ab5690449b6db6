"""The continuous Bernoulli likelihood of grey pixels in [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import override

from aecore.model.passes import Model
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import need_logits

_SMALL = 0.3  # a / 2 below which the series are more precise than the formulas


class ContinuousBernoulli(Reconstruction):
    """-log p(x) in nats per image of p(x) = exp(a x) a / (exp(a) - 1) on [0, 1], a the logits.

    Loaiza-Ganem & Cunningham 2019, with a = log(lambda / (1 - lambda)): a likelihood of
    grey images that integrates to 1. Its mean is not the sigmoid of the logits.
    """

    name = "continuous_bernoulli"

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return (log_integral(output) - output * x).flatten(1).sum(1)

    @override
    def image(self, output: Tensor) -> Tensor:
        return mean(output)

    @override
    def check(self, model: Model) -> None:
        need_logits(model, self.name)


def log_integral(a: Tensor) -> Tensor:
    """`log` of the integral of exp(a x) over [0, 1]: a / 2 + log(sinh(h) / h), h = a / 2."""
    h = a.abs() / 2
    small = h < _SMALL
    s = torch.where(small, h, 0).square()
    series = s / 6 * (1 - s / 30 * (1 - s * 4 / 63 * (1 - s * 3 / 40)))
    h = torch.where(small, 1, h)  # avoids NaN gradients of the branch that is not used
    formula = h + torch.log1p(-(-2 * h).exp()) - h.log() - math.log(2)
    return a / 2 + torch.where(small, series, formula)


def mean(a: Tensor) -> Tensor:
    """The mean of the density, 1 / (1 - exp(-a)) - 1 / a = 1/2 + (coth(h) - 1 / h) / 2."""
    h = a / 2
    small = h.abs() < _SMALL
    s = torch.where(small, h, 0)
    square = s.square()
    series = s / 3 * (1 - square / 15 * (1 - square * 2 / 21 * (1 - square / 10)))
    h = torch.where(small, 1, h)
    return 0.5 + 0.5 * torch.where(small, series, 1 / h.tanh() - 1 / h)
