"""Mean, standard deviation and range of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from aecore.data.split import Split, to_pixels
from aecore.types import is_table


class Statistics(NamedTuple):
    """What standardised data are shifted and scaled by.

    shift, scale: (C, 1, 1) per channel, or (1, 1, D) per column of a table; the model sees
    (x - shift) / scale. limits: (2,) smallest and largest pixel of images outside [0, 1], or None.
    """

    shift: Tensor
    scale: Tensor
    limits: Tensor | None = None

    def to(self, device: torch.device | str) -> Statistics:
        """The same on a device."""
        limits = None if self.limits is None else self.limits.to(device)
        return Statistics(self.shift.to(device), self.scale.to(device), limits)


def statistics_of(split: Split) -> Statistics:
    """The statistics of a split: float32, or float64 as its images are.

    limits: those of images and targets.
    """
    shift, scale = moments(split)
    low, high = extremes(split)
    if split.targets is not None:
        ends = extremes(split.of_targets)
        low, high = torch.minimum(low, ends[0]), torch.maximum(high, ends[1])
    inside = is_table(split.image_shape) or (low >= 0 and high <= 1)
    return Statistics(shift, scale, None if inside else torch.stack([low, high]))


def extremes(split: Split) -> tuple[Tensor, Tensor]:
    """The smallest and the largest pixel of a split.

    Read in parts, of which no result is kept: a list of them would leave holes in memory.
    """
    ends = (torch.stack([-x.min(), x.max()]) for x in map(to_pixels, _parts(split)))
    low, high = reduce(torch.maximum, ends)
    return -low, high


def moments(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (over N, not N - 1) of a split, in the precision of its pixels.

    Returns two (C, 1, 1), over images and places; of a table (N, 1, 1, D) two (1, 1, D), over
    rows. Constant values have a deviation of 1. Read in parts, which as float64 take memory.
    """
    channels, height, width = split.image_shape
    table = (channels, height) == (1, 1)
    dims = (0,) if table else (0, 2, 3)
    count = len(split) * (1 if table else height * width)
    mean = sum((_values(p).sum(dims, keepdim=True) for p in _parts(split)), torch.zeros(()))
    mean = mean / count
    squares = (((_values(p) - mean) ** 2).sum(dims, keepdim=True) for p in _parts(split))
    std = (sum(squares, torch.zeros(())) / count).sqrt()
    # Compared exactly: rounding gives the mean of a constant a tiny deviation.
    lowest = reduce(torch.minimum, (p.amin(dims, keepdim=True) for p in _parts(split)))
    highest = reduce(torch.maximum, (p.amax(dims, keepdim=True) for p in _parts(split)))
    std = std.masked_fill(lowest == highest, 1)
    dtype = split.images.dtype if split.images.dtype == torch.float64 else torch.float32
    return mean[0].to(dtype), std[0].to(dtype)


def _parts(split: Split) -> Iterator[Tensor]:
    return split.parts(split.part_size)


def _values(images: Tensor) -> Tensor:
    return to_pixels(images).to(torch.float64)
