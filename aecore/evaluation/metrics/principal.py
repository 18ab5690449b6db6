"""Principal components of images that come in batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from aecore.errors import SkippedError

LARGEST = 4096  # pixels: a matrix of 128 MB in float64
_NOTHING = 1e-12  # a share of the largest variance that is rounding


class Principal(NamedTuple):
    """Of images of D pixels, float64 on the CPU.

    mean: (D,). variances: (D,), falling, none negative. directions: (D, D), a column each.
    """

    mean: Tensor
    variances: Tensor
    directions: Tensor

    @property
    def rank(self) -> int:
        """How many directions have a variance that is more than rounding."""
        return int((self.variances > _NOTHING * self.variances[0]).sum())


def principal_components(batches: Iterable[Tensor]) -> Principal:
    """The principal components of all images of the batches (n, C, H, W), at least one image."""
    count, start = 0, torch.zeros(())
    total, square = torch.zeros(()).double(), torch.zeros(()).double()
    for batch in batches:
        rows = batch.flatten(1).cpu().double()
        if count == 0:
            start = rows.mean(0)  # near the mean: else rounding grows with its square
        rows = rows - start
        total, square, count = total + rows.sum(0), square + rows.T @ rows, count + len(rows)
    mean = total / count
    variances, directions = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    return Principal(start + mean, variances.flip(0).clamp_min(0), directions.flip(1))


def need_few(pixels: int) -> None:
    """Raise SkippedError for images whose matrix (D, D) would be too large."""
    if pixels > LARGEST:
        raise SkippedError(f"images of {pixels} pixels: the matrix would be too large")
