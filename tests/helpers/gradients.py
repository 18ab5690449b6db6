"""Gradients against the slope of what they are the gradients of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor

from helpers.models import gen

_STEP = 1e-5


def check_gradient(cost: Callable[[], Tensor], parameters: Iterable[Tensor]) -> None:
    """Along a random line: a term that is held fixed has a slope, but no gradient.

    cost: of float64 parameters; any shape, whose parts count differently. It draws the same again.
    """
    parameters = [p for p in parameters if p.requires_grad]
    draws = gen(8)
    lines = [torch.randn(p.shape, generator=draws, dtype=p.dtype) for p in parameters]
    counts = 0.5 + torch.rand(cost().shape, generator=draws, dtype=torch.float64)
    gradients = torch.autograd.grad((cost() * counts).sum(), parameters, allow_unused=True)
    found = sum(
        float((g * line).sum()) for g, line in zip(gradients, lines, strict=True) if g is not None
    )

    def moved(step: float) -> float:
        with torch.no_grad():
            for p, line in zip(parameters, lines, strict=True):
                p += step * line
        return float((cost() * counts).sum().detach())

    above, below = moved(_STEP), moved(-2 * _STEP)
    moved(_STEP)
    assert abs(found) > 1e-6
    assert found == pytest.approx((above - below) / (2 * _STEP), rel=1e-4)
