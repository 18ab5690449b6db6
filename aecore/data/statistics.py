"""Mean and standard deviation of a data set."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from aecore.data.split import PART, Split, to_pixels


def moments(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (over N, not N - 1) of a split, as float32 pixels.

    Returns two (C, 1, 1), over images and places; of a table (N, 1, 1, D) two (1, 1, D), over
    rows. Constant values have a deviation of 1. Read in parts, which as float64 take memory.
    """
    channels, height, width = split.image_shape
    table = (channels, height) == (1, 1)
    dims = (0,) if table else (0, 2, 3)
    count = len(split) * (1 if table else height * width)
    mean = sum((_values(p).sum(dims, keepdim=True) for p in split.parts(PART)), torch.zeros(()))
    mean = mean / count
    squares = (((_values(p) - mean) ** 2).sum(dims, keepdim=True) for p in split.parts(PART))
    std = (sum(squares, torch.zeros(())) / count).sqrt()
    # Compared exactly: rounding gives the mean of a constant a tiny deviation.
    lowest = reduce(torch.minimum, (p.amin(dims, keepdim=True) for p in split.parts(PART)))
    highest = reduce(torch.maximum, (p.amax(dims, keepdim=True) for p in split.parts(PART)))
    std = std.masked_fill(lowest == highest, 1)
    return mean[0].to(torch.float32), std[0].to(torch.float32)


def _values(images: Tensor) -> Tensor:
    return to_pixels(images).to(torch.float64)
