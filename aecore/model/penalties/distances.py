"""Distances between two distributions, estimated from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Kernel = Literal["rbf", "imq"]


def mmd(a: Tensor, b: Tensor, kernel: Kernel, scales: Sequence[float]) -> Tensor:
    """The unbiased squared maximum mean discrepancy of (N, dim) and (M, dim), a scalar.

    Gretton et al. 2012, eq. 3, averaged over kernels, one per scale: with c = 2 dim scale,
    'rbf' is exp(-d^2 / c), 'imq' is c / (c + d^2). 2 dim is the mean squared distance of two
    standard normal samples. It can be negative, and is 0 for sets of one point.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        return (a.sum() + b.sum()) * 0
    within, other, across = (squared_distances(*two) for two in ((a, a), (b, b), (a, b)))
    total = a.new_zeros(())
    for scale in scales:
        c = 2 * a.shape[1] * scale
        like_a, like_b, between = (
            (-d / c).exp() if kernel == "rbf" else c / (c + d) for d in (within, other, across)
        )
        total = total + (like_a.sum() - like_a.trace()) / (n * (n - 1))
        total = total + (like_b.sum() - like_b.trace()) / (m * (m - 1)) - 2 * between.mean()
    return total / len(scales)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """||a_i - b_j||^2 of (N, dim) and (M, dim), (N, M)."""
    squares = a.square().sum(1, keepdim=True) + b.square().sum(1)
    return torch.addmm(squares, a, b.T, alpha=-2).clamp_min(0)


def sliced_wasserstein(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
    """The mean squared 2-Wasserstein distance along directions of two sets (N, dim), a scalar.

    directions: (dim, L), of length 1. In one dimension optimal transport matches the sorted points.
    """
    along_a, along_b = ((points @ directions).sort(0).values for points in (a, b))
    return (along_a - along_b).square().mean()
