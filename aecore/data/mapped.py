"""Splits whose images stay in mapped files, and the order in which those are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from aecore.data.split import COARSE, EPOCH_ORDER, Split, permutation
from aecore.errors import UserError
from aecore.types import is_table

_BLOCK = 2**20  # bytes of neighbouring images that stay together
_WINDOW = 64  # blocks whose images are mixed
_VALUES_AT_ONCE = 2**21  # when a file is checked


def block_order(n: int, size: int, *key: int) -> Tensor:
    """(n,) int64: blocks of `size` neighbours in random order, mixed within windows of 64 blocks.

    So nearby steps read nearby rows, each from the disk once an epoch.
    """
    blocks = permutation(-(-n // size), *key)
    places = (blocks[:, None] * size + torch.arange(size)).flatten()
    windows = torch.split(places[places < n], _WINDOW * size)
    return torch.cat([w[permutation(len(w), *key, i)] for i, w in enumerate(windows)])


class Blocks(Split):
    """A split whose epochs are read from the disk by blocks of a megabyte."""

    __slots__ = ()

    @override
    def order(self, *key: int) -> Tensor:
        size = max(_BLOCK // (self.images[0].numel() * self.images.element_size()), 1)
        return block_order(len(self), size, EPOCH_ORDER, *key)


@dataclass(frozen=True, slots=True, eq=False)
class MappedSplit(Blocks):
    """A split of an array in a mapped file, whose images are converted as they are read.

    images: zeros, of the shape and the type of the images once read, which take no memory.
    array: (M, C, H, W) real numbers of any type, a view of the file; read-only.
    white: what these are divided by, None for nothing. limits: (2,) see `Split.rescaled`.
    """

    array: NDArray[Any] | None = None
    white: float | None = None
    limits: Tensor | None = None

    @override
    def take(self, index: Tensor, out: Tensor | None = None) -> Tensor:
        assert self.rows is not None and self.array is not None
        images = as_stored(self.array[self.rows[index].numpy()], self.images.dtype, self.white)
        if self.limits is not None:
            low, high = self.limits
            images = (images - low) / (high - low)
        return images if out is None else out.copy_(images)

    @override
    def rescaled(self, limits: Tensor) -> Split:
        if self.rows is None or self.has_levels:  # none, or in memory, to convert
            return Split.rescaled(self, limits)
        return replace(self, limits=limits.cpu())


def as_stored(array: NDArray[Any], dtype: torch.dtype, white: float | None) -> Tensor:
    """An array of real numbers as a split stores them: of that type, divided by `white`."""
    kind = np.uint8 if dtype == torch.uint8 else float_of(array.dtype)
    images = torch.from_numpy(np.ascontiguousarray(array, dtype=kind)).to(dtype)
    return images if white is None else images / white


def float_of(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Which floats numbers become: double those of 8 bytes, and integers of 4, else single."""
    return np.float64 if dtype.itemsize >= (4 if dtype.kind in "ui" else 8) else np.float32


def mapped_split(array: NDArray[Any], white: float | None, where: str) -> MappedSplit:
    """The split of all images of a mapped array (N, C, H, W), which is read once in parts.

    where: names the array in messages. Raises UserError where numbers are NaN or infinite.
    """
    dtype = torch.uint8
    if array.dtype != np.uint8 or white is not None:
        check_finite(array, where)
        dtype = torch.float64 if _is_coarse(array) else torch.float32
    images = torch.zeros((), dtype=dtype).expand(array.shape)
    return MappedSplit(images, rows=torch.arange(len(array)), array=np.asarray(array), white=white)


def _parts(array: NDArray[Any]) -> Iterator[Tensor]:
    """All images in order, as floats."""
    size = max(_VALUES_AT_ONCE // math.prod(array.shape[1:]), 1)
    for start in range(0, len(array), size):
        part = array[start : start + size]
        yield torch.from_numpy(np.array(part, dtype=float_of(array.dtype)))


def check_finite(array: NDArray[Any], where: str) -> None:
    """Raise UserError where numbers (N, ...) of a mapped array are NaN or infinite.

    where: names the array in the message.
    """
    if array.dtype.kind != "f":
        return
    seen, count, first = 0, 0, None
    for part in _parts(array):
        bad = ~part.float().isfinite()
        if bad.any():
            count += int(bad.sum())
            first = seen + int(bad.flatten(1).any(1).nonzero()[0]) if first is None else first
        seen += len(part)
    if count:
        raise UserError(f"{where}: {count} values are NaN or infinite, first in row {first}")


def _is_coarse(array: NDArray[Any]) -> bool:
    """Whether float32 is too coarse for some numbers, see `to_float`; in one pass.

    Sums are kept, not lists: results of each part would leave holes in memory that grow with N.
    """
    if float_of(array.dtype) is np.float32:
        return False
    table = is_table(array.shape[1:])
    dims, count = ((0,), len(array)) if table else ((0, 2, 3), array.size // array.shape[1])
    origin = next(_parts(array)).mean(dims, keepdim=True)
    ends = torch.full((3, *origin.shape), -math.inf, dtype=torch.float64)
    sums = torch.zeros(2, *origin.shape, dtype=torch.float64)
    for part in _parts(array):
        moved = (part.float().double() - part).abs_()
        for end, values in zip(ends, (moved, part, -part), strict=True):
            torch.maximum(end, values.amax(dims, keepdim=True), out=end)
        near = part - origin  # so that squares of large numbers do not hide a small deviation
        for total, values in zip(sums, (near, near.square()), strict=True):
            total += values.sum(dims, keepdim=True)
    moved, high, low = ends
    mean, squares = sums / count
    std = (squares - mean.square()).clamp(min=0).sqrt()
    return bool(((moved > COARSE * std) & (high > -low)).any())
