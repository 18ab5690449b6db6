"""The typed records that flow through an autoencoder: Batch -> Code -> Pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Shape = tuple[int, ...]
ImageShape = tuple[int, int, int]  # (C, H, W); a table of D columns is (1, 1, D)


def is_table(shape: Sequence[int]) -> bool:
    """Whether images of that shape, (C, H, W), are the rows of a table, (1, 1, D)."""
    return tuple(shape[:2]) == (1, 1)


def is_series(shape: Sequence[int]) -> bool:
    """Whether images of that shape are series (C, 1, T) of several channels."""
    channels, height, length = shape
    return channels > 1 and height == 1 and length > 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images with what is known of them.

    x: (N, C, H, W) float, pixels in [0, 1]; tables are (N, 1, 1, D).
    y: (N,) int64 class labels, or None.
    index: (N,) int64 positions in the split.
    target: what the output is compared with, as x; None for x itself.
    """

    x: Tensor
    y: Tensor | None
    index: Tensor
    target: Tensor | None = None
