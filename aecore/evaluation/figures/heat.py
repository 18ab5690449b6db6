"""Numbers as colours, for figures of weights, codes and activations."""

from __future__ import annotations

import matplotlib
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate, pad

from aecore.evaluation.figures.grid import QUIET, displayable

SIDE = 96  # side of a heat map, in pixels of the figure
_DOTS = 280_000  # of all heat maps of a figure, approximately
_NOTHING = (0.9, 0.9, 0.9)  # the colour of NaN


def colour_map(signed: bool) -> Colormap:
    """Blue, white, red for numbers around 0; dark to bright for those from 0 on."""
    return matplotlib.colormaps["RdBu_r" if signed else "viridis"].with_extremes(bad=_NOTHING)


def scale(values: Tensor) -> tuple[float, bool]:
    """The largest absolute number, and whether any is negative; NaN is ignored."""
    values = values.nan_to_num()
    return max(float(values.abs().max()), 1e-12), bool((values < 0).any())


def colours(values: Tensor, limit: float, signed: bool) -> Tensor:
    """(N, H, W) -> RGB (N, 3, H, W) in [0, 1].

    The scale goes from -limit to limit where signed, else from 0 to limit; NaN is light grey.
    """
    low = -limit if signed else 0.0
    shares = ((values.detach().float().cpu() - low) / (limit - low)).numpy()
    rgba = colour_map(signed)(shares)  # NaN: the colour of bad values
    return torch.from_numpy(rgba[..., :3]).float().movedim(-1, -3)


def colour_weights(weights: Tensor, limit: float) -> Tensor:
    """Weights (N, C, H, W) as RGB (N, 3, H, W), 0 in the middle of a scale from -limit to limit.

    Three channels are shown as RGB with grey for 0, of others the first is shown.
    """
    if weights.shape[1] == 3:
        return displayable(0.5 + 0.5 * weights / limit)
    return colours(weights[:, 0], limit, signed=True)


def enlarged(images: Tensor, side: int = SIDE) -> Tensor:
    """(N, C, H, W) pictures -> RGB (N, 3, H', W') no larger than `side`, whole dots a pixel."""
    images = displayable(images)[:, :3]
    images = images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)
    longest = max(images.shape[2:])
    if longest > side:
        size = [max(1, round(n * side / longest)) for n in images.shape[2:]]
        return interpolate(images, size, mode="area")
    zoom = side // longest
    return images.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)


def centred(images: Tensor, side: int = SIDE) -> Tensor:
    """(N, C, H, W) pictures enlarged, in the middle of white squares: RGB (N, 3, side, side)."""
    images = enlarged(images, side)
    right, below = side - images.shape[3], side - images.shape[2]
    edges = (right // 2, right - right // 2, below // 2, below - below // 2)
    return pad(images, edges, value=1.0)


def in_rows(pictures: Tensor, columns: int) -> list[Tensor]:
    """(N, C, H, W) enlarged, in rows of `columns`; white pictures fill the last row."""
    columns = min(columns, len(pictures))
    side = min(SIDE, int((_DOTS / len(pictures)) ** 0.5))
    pictures = enlarged(pictures, side)
    missing = -len(pictures) % columns
    return list(torch.split(pad(pictures, (0, 0, 0, 0, 0, 0, 0, missing), value=1.0), columns))


def arranged(code: Tensor) -> Tensor:
    """One code as a picture (H, W): a vector nearly square, maps side by side, NaN between."""
    cells = code.reshape(-1, 1, 1) if code.dim() != 3 else code
    gap = int(code.dim() == 3)
    columns = int(len(cells) ** 0.5)
    columns += columns * columns < len(cells)
    missing = -len(cells) % columns
    cells = pad(cells, (0, gap, 0, gap, 0, missing), value=float("nan"))
    height, width = cells.shape[1:]
    grid = cells.reshape(-1, columns, height, width).movedim(2, 1)
    picture = grid.reshape(-1, columns * width)
    return picture[:-gap, :-gap] if gap else picture


def add_bar(figure: Figure, limit: float, signed: bool, label: str = "") -> Figure:
    """Make room at the right of a page of placed Axes for the colour scale."""
    old = figure.get_figwidth()
    new = old + (0.95 if label else 0.75)
    figure.set_figwidth(new)
    boxes = [axes.get_position().bounds for axes in figure.axes]
    for axes, (left, bottom, width, height) in zip(figure.axes, boxes, strict=True):
        axes.set_position((left * old / new, bottom, width * old / new, height))
    for text in figure.texts:
        text.set_x(text.get_position()[0] * old / new)
    low = min(bottom for _, bottom, _, _ in boxes)
    high = max(bottom + height for _, bottom, _, height in boxes)
    right = max(left + width for left, _, width, _ in boxes) * old
    bar = figure.add_axes(((right + 0.15) / new, low, 0.11 / new, high - low))
    colours = ScalarMappable(Normalize(-limit if signed else 0.0, limit), colour_map(signed))
    figure.colorbar(colours, cax=bar)
    bar.tick_params(labelsize=7, colors=QUIET, length=2)
    bar.set_ylabel(label, size=8, color=QUIET)
    for spine in bar.spines.values():
        spine.set_visible(False)
    return figure
