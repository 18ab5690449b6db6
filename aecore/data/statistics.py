"""Mean and standard deviation of a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from aecore.data.split import to_pixels

IMAGES_AT_ONCE = 1024  # as float64, so that a large data set needs little memory more


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (over N, not N - 1) of stored images, as float32 pixels.

    images: (N, C, H, W) uint8 or float32. Returns two (C, 1, 1), over images and places; of a
    table (N, 1, 1, D) two (1, 1, D), over rows. What is constant has a deviation of 1.
    """
    table = images.shape[1:3] == (1, 1)
    dims = (0,) if table else (0, 2, 3)
    count = images.shape[0] if table else images.numel() // images.shape[1]
    parts = torch.split(images, IMAGES_AT_ONCE)
    mean = sum((_values(p).sum(dims, keepdim=True) for p in parts), torch.zeros(())) / count
    squares = (((_values(p) - mean) ** 2).sum(dims, keepdim=True) for p in parts)
    std = (sum(squares, torch.zeros(())) / count).sqrt()
    # Compared exactly: rounding gives the mean of a constant a tiny deviation.
    constant = images.amin(dims, keepdim=True) == images.amax(dims, keepdim=True)
    std = std.masked_fill(constant, 1)
    return mean[0].to(torch.float32), std[0].to(torch.float32)


def _values(images: Tensor) -> Tensor:
    return to_pixels(images).to(torch.float64)
