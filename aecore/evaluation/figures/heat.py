"""Pictures of weights, codes and activations."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision.utils import make_grid

from aecore.evaluation.figures.axes import finish, single
from aecore.evaluation.figures.grid import DPI, QUIET, displayable
from aecore.evaluation.figures.scale import Scale

SIDE = 96  # side of a heat map, in pixels of the figure
_DOTS = 280_000  # of all heat maps of a figure, approximately


def colour_weights(weights: Tensor, scale: Scale) -> Tensor:
    """Weights (N, C, H, W) as RGB (N, 3, H, W), of a signed scale.

    Three channels are shown as RGB with grey for 0, of others the first is shown.
    """
    if weights.shape[1] == 3:
        return displayable(0.5 + 0.5 * weights / scale.limit)
    return scale.colours(weights[:, 0])


def enlarged(images: Tensor, side: int = SIDE) -> Tensor:
    """Pictures (N, C, H, W) no larger than `side`: enlarged by an integer, or reduced.

    Returns RGB (N, 3, H', W'), or RGBA.
    """
    images = displayable(images)
    images = images if images.shape[1] >= 3 else images.expand(-1, 3, -1, -1)
    longest = max(images.shape[2:])
    if longest > side:
        size = [max(1, round(n * side / longest)) for n in images.shape[2:]]
        return interpolate(images, size, mode="area")
    zoom = side // longest
    return images.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)


def centred(images: Tensor, side: int = SIDE) -> Tensor:
    """(N, C, H, W) pictures enlarged, in the middle of white squares: RGB (N, 3, side, side)."""
    images = enlarged(images, side)[:, :3]
    right, below = side - images.shape[3], side - images.shape[2]
    edges = (right // 2, right - right // 2, below // 2, below - below // 2)
    return pad(images, edges, value=1.0)


def side_of(count: int) -> int:
    """The side that each of so many pictures of a figure has at most, in pixels."""
    return min(SIDE, int((_DOTS / count) ** 0.5))


def in_rows(pictures: Tensor, columns: int) -> list[Tensor]:
    """(N, C, H, W) in rows of `columns`; white pictures fill the last row."""
    missing = -len(pictures) % columns
    return list(torch.split(pad(pictures, (0, 0, 0, 0, 0, 0, 0, missing), value=1.0), columns))


def arranged(code: Tensor) -> Tensor:
    """One code as a picture (H, W): a vector nearly square, maps side by side, NaN between."""
    cells, gap = (code[:, None], 1) if code.dim() == 3 else (code.reshape(-1, 1, 1, 1), 0)
    columns = math.ceil(math.sqrt(len(cells)))
    picture: Tensor = make_grid(cells, nrow=columns, padding=gap, pad_value=float("nan"))[0]
    return picture[gap : len(picture) - gap, gap : picture.shape[1] - gap]


def heat_map(matrix: Tensor, scale: Scale, title: str, side: int) -> Figure:
    """A matrix in colours beside its scale.

    side: of the matrix in pixels, approximately. The first Axes is that of the matrix.
    """
    figure, axes = single((side + 160) / DPI, (side + 90) / DPI)
    picture = axes.imshow(matrix.numpy(), cmap=scale.colour_map, norm=scale.norm)
    finish(axes, title=title)
    axes.grid(visible=False)
    bar = figure.colorbar(picture, aspect=40)
    bar.ax.tick_params(labelsize=7, colors=QUIET, length=2)
    bar.outline.set_visible(False)
    return figure
