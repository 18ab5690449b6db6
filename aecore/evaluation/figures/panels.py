"""The filters of several runs, a square of them for each, on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from aecore.evaluation.figures.grid import DPI, INK, QUIET, new_figure
from aecore.evaluation.figures.heat import add_bar, colour_map, colour_weights

_SIDE, _PANEL, _WIDTH = (
    56,
    520,
    1500,
)  # approximate sides of a filter, a square of filters and a page, in pixels
_GAP, _EDGE, _TOP, _CAPTION = 28, 14, 44, 46  # pixels
_LETTER = 9.6


@dataclass(frozen=True)
class Filters:
    """The filters of a run: weights (N, C, H, W), its name, and a note on what is shown."""

    name: str
    note: str
    weights: Tensor


def most_shown(weights: Tensor, count: int) -> int:
    """How many of at most `count` filters (N, C, H, W) fit into a square, 1 at least."""
    side, zoom = _measures(weights)
    across = max(1, _PANEL // ((side + _gap(weights)) * zoom))
    return min(count, len(weights), across**2)


def filter_panels(panels: Sequence[Filters], title: str, limit: float) -> Figure:
    """A square of filters for each run, colours from -limit to limit in all of them.

    Three channels are shown as RGB with grey for 0, of others the first is shown.
    """
    mosaics = [_mosaic(panel.weights, limit) for panel in panels]
    zooms = [_measures(panel.weights)[1] for panel in panels]
    sizes = [(m.shape[0] * z, m.shape[1] * z) for m, z in zip(mosaics, zooms, strict=True)]
    letters = max(len(text) for panel in panels for text in (panel.name, panel.note))
    cell = max(round(_LETTER * letters), *(width for _, width in sizes))
    most = max(1, (_WIDTH + _GAP) // (cell + _GAP))
    columns = -(-len(panels) // -(-len(panels) // most))
    total_w = max(2 * _EDGE + columns * (cell + _GAP) - _GAP, 2 * _EDGE + 8 * len(title))
    heights = [max(h for h, _ in sizes[n : n + columns]) for n in range(0, len(panels), columns)]
    total_h = _TOP + sum(heights) + len(heights) * (_CAPTION + _GAP) - _GAP + _EDGE
    figure = new_figure(total_w / DPI, total_h / DPI)
    figure.text(_EDGE / total_w, 1 - 10 / total_h, title, size=11, color=INK, va="top")
    y = total_h - _TOP
    for n, (panel, mosaic, (height, width)) in enumerate(zip(panels, mosaics, sizes, strict=True)):
        row, column = divmod(n, columns)
        if n and column == 0:
            y -= _CAPTION + heights[row - 1] + _GAP
        x, top = _EDGE + column * (cell + _GAP), y - _CAPTION
        box = (x / total_w, (top - height) / total_h, width / total_w, height / total_h)
        _draw(figure.add_axes(box), mosaic, limit)
        figure.text(x / total_w, y / total_h, panel.name, size=12, color=INK, va="top",
                    weight="bold")  # fmt: skip
        figure.text(x / total_w, (y - 22) / total_h, panel.note, size=10, color=QUIET, va="top")
    coloured = panels[0].weights.shape[1] == 3
    return figure if coloured else add_bar(figure, limit, signed=True, label="weight")


def _measures(weights: Tensor) -> tuple[int, int]:
    """The longer side of a filter in pixels, and its integer enlargement."""
    side = max(weights.shape[2:])
    return side, max(1, _SIDE // side)


def _gap(weights: Tensor) -> int:
    """Pixels between filters."""
    return 1 if max(weights.shape[2:]) < 16 else 2


def _mosaic(weights: Tensor, limit: float) -> np.ndarray:
    """Filters nearly in a square, white between them: numbers (H, W), or RGB (H, W, 3)."""
    weights = weights.detach().float().cpu()
    pictures = colour_weights(weights, limit) if weights.shape[1] == 3 else weights[:, :1]
    across = int(np.ceil(len(pictures) ** 0.5))
    missing = -len(pictures) % across
    empty = 1.0 if weights.shape[1] == 3 else float("nan")
    gap = _gap(weights)
    cells = pad(pictures, (0, gap, 0, gap, 0, 0, 0, missing), value=empty)
    rows = [torch.cat(list(row), dim=2) for row in torch.split(cells, across)]
    whole = torch.cat(rows, dim=1)[:, :-gap, :-gap]
    return (whole.movedim(0, -1) if len(whole) == 3 else whole[0]).numpy()


def _draw(axes: Axes, mosaic: np.ndarray, limit: float) -> None:
    colours = colour_map(signed=True).with_extremes(bad="white")
    axes.set_axis_off()
    axes.imshow(mosaic, cmap=colours, norm=Normalize(-limit, limit),
                interpolation="nearest", aspect="auto")  # fmt: skip
