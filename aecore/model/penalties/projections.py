"""Norms of Jacobians by random projections."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def estimated_norm(x: Tensor, y: Tensor, samples: int, generator: Generator | None) -> Tensor:
    """Unbiased estimate of ||d y / d x||_F^2 of each image from `samples` projections, (N,).

    E ||J^T v||^2 = ||J||_F^2 for independent signs v (Hutchinson 1990). x, y: (N, ...).
    """
    total = y.new_zeros(len(y))
    for _ in range(samples):
        (row,) = torch.autograd.grad(y, x, random_signs(y, generator), create_graph=True)
        total = total + row.square().flatten(1).sum(1)
    return total / samples


def random_signs(like: Tensor, generator: Generator | None) -> Tensor:
    """Independent -1 and 1 of equal probability, of the shape of `like`."""
    return torch.empty_like(like).bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
