"""The filters of several runs, a square of them for each, on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import Tensor

from aecore.evaluation.figures.grid import QUIET, Page
from aecore.evaluation.figures.heat import colour_weights, square
from aecore.evaluation.figures.scale import Scale

# approximate sides of a filter, a square of filters and a page, in pixels
_SIDE, _PANEL, _WIDTH = 56, 520, 1500
_GAP, _EDGE, _TOP, _CAPTION = 28, 14, 44, 46  # pixels
_LETTER = 9.6


@dataclass(frozen=True)
class Filters:
    """The filters of a run: weights (N, C, H, W), its name, and a note on what is shown."""

    name: str
    note: str
    weights: Tensor

    @property
    def zoom(self) -> int:
        """The integer enlargement of a filter."""
        return max(1, _SIDE // max(self.weights.shape[2:]))

    def mosaic(self, scale: Scale) -> Tensor:
        """The filters in a square, NaN or white between: numbers (1, H, W), or RGB (3, H, W)."""
        weights, gap = self.weights.detach().float().cpu(), _gap(self.weights)
        if weights.shape[1] == 3:
            return square(colour_weights(weights, scale), gap, 1.0)
        return square(weights[:, :1], gap, float("nan"))[:1]


def most_shown(weights: Tensor, count: int) -> int:
    """How many of at most `count` filters (N, C, H, W) fit into a square, 1 at least."""
    pixels = (max(weights.shape[2:]) + _gap(weights)) * Filters("", "", weights).zoom
    return min(count, len(weights), max(1, _PANEL // pixels) ** 2)


def filter_panels(panels: Sequence[Filters], title: str, scale: Scale) -> Figure:
    """A square of filters for each run, all on one signed scale.

    Three channels are shown as RGB with grey for 0, of others the first is shown.
    """
    mosaics = [panel.mosaic(scale) for panel in panels]
    zooms = [panel.zoom for panel in panels]
    sizes = [(m.shape[1] * z, m.shape[2] * z) for m, z in zip(mosaics, zooms, strict=True)]
    letters = max(len(text) for panel in panels for text in (panel.name, panel.note))
    cell = max(round(_LETTER * letters), *(width for _, width in sizes))
    most = max(1, (_WIDTH + _GAP) // (cell + _GAP))
    columns = -(-len(panels) // -(-len(panels) // most))
    heights = [max(h for h, _ in sizes[n : n + columns]) for n in range(0, len(panels), columns)]
    bottom = _TOP + sum(heights) + len(heights) * (_CAPTION + _GAP) - _GAP
    coloured = len(mosaics[0]) == 3
    right = max(_EDGE + columns * (cell + _GAP) - _GAP, _EDGE + 8 * len(title))
    page = Page(right + _EDGE + (0 if coloured else 95), bottom + _EDGE)
    page.text(_EDGE, 10, title)
    for n, (panel, mosaic) in enumerate(zip(panels, mosaics, strict=True)):
        row, column = divmod(n, columns)
        left = _EDGE + column * (cell + _GAP)
        top = _TOP + sum(heights[:row]) + row * (_CAPTION + _GAP)
        page.text(left, top, panel.name, size=12, weight="bold")
        page.text(left, top + 22, panel.note, size=10, color=QUIET)
        colours = scale.colour_map.with_extremes(bad="white")
        page.picture(left, top + _CAPTION, mosaic, panel.zoom, norm=scale.norm, cmap=colours)
    if not coloured:
        right = _EDGE + max(column * (cell + _GAP) + sizes[column][1] for column in range(columns))
        page.bar(scale, right + 15, _TOP + _CAPTION, bottom - _TOP - _CAPTION)
    return page.figure


def _gap(weights: Tensor) -> int:
    """Pixels between filters."""
    return 1 if max(weights.shape[2:]) < 16 else 2
