"""Series as pictures of lines."""

from __future__ import annotations

import torch
from matplotlib.colors import to_rgb
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d, interpolate

from aecore.evaluation.figures.scale import palette

_WIDTH, _HEIGHT = 96, 64  # pixels of a picture
_THICKNESS = 1.5  # of a line, in pixels


def line_pictures(series: Tensor) -> Tensor:
    """Series (N, C, 1, T) in [0, 1] as pictures (N, 3, 64, 96): a line for each channel.

    Where several points fall into a column of the picture, their range is drawn. Later channels
    lie over earlier ones.
    """
    count, channels = series.shape[:2]
    low, high = (sign * _highest(sign * series.flatten(0, 1)) for sign in (-1, 1))
    height = torch.linspace(1, 0, _HEIGHT)[:, None]
    half = _THICKNESS / 2 / _HEIGHT
    covered = (height >= low - half) & (height <= high + half)
    covered = covered.view(count, channels, 1, _HEIGHT, _WIDTH)
    pictures = torch.ones(count, 3, _HEIGHT, _WIDTH)
    for channel, colour in enumerate(palette(channels)):
        paint = torch.tensor(to_rgb(colour))[:, None, None]
        pictures = torch.where(covered[:, channel], paint, pictures)
    return pictures


def _highest(series: Tensor) -> Tensor:
    """The largest value of (N, 1, T) in each column of a picture, (N, 1, W), of joined points."""
    points = max(series.shape[-1], 4 * _WIDTH)
    line = interpolate(series, points, mode="linear", align_corners=True)
    return adaptive_max_pool1d(line, _WIDTH)
