"""Pictures that runs left, side by side on one page, each dot as it was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError

from aecore.evaluation.figures.grid import DPI, INK, QUIET, new_figure

_WIDTH = 1400  # pixels: width of a page, unless a single image is wider
_WIDE = 2.5  # aspect ratio from which images are stacked vertically
_GAP, _EDGE, _LABEL, _FOOT = 24, 14, 26, 24  # pixels
_LETTER = 8.6
_MOST_PIXELS = 20_000_000
_TALLEST = 60_000  # what can be drawn


def tiled(files: Mapping[str, Path]) -> Figure | None:
    """Each PNG under its label, in rows; None where fewer than two can be read.

    files: by label. Those that are missing or damaged are named at the foot of the page.
    """
    read = {label: _pixels(file) for label, file in files.items()}
    pictures = {label: pixels for label, pixels in read.items() if pixels is not None}
    if len(pictures) < 2:
        return None
    missing = [label for label, pixels in read.items() if pixels is None]
    return _page(pictures, f"not drawn by: {', '.join(missing)}" if missing else "")


def columns_for(count: int, width: int, height: int) -> int:
    """Number of columns for `count` images of this size in pixels, in rows of equal length."""
    most = 1 if width > _WIDE * height else max(1, (_WIDTH + _GAP) // (width + _GAP))
    rows = -(-count // most)
    return -(-count // rows)


def _pixels(file: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 on white, None if the image cannot be read."""
    try:
        with Image.open(file, formats=["PNG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            coloured = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    ground = Image.new("RGBA", coloured.size, "white")
    return np.asarray(Image.alpha_composite(ground, coloured).convert("RGB"))


def _page(pictures: Mapping[str, np.ndarray], foot: str) -> Figure | None:
    cells = list(pictures.items())
    sizes = [pixels.shape[:2] for pixels in pictures.values()]
    columns = columns_for(len(cells), max(w for _, w in sizes), max(h for h, _ in sizes))
    rows = [cells[n : n + columns] for n in range(0, len(cells), columns)]
    wanted = [max(pixels.shape[1], round(_LETTER * len(label))) for label, pixels in cells]
    widths = [max(wanted[n::columns]) for n in range(columns)]
    heights = [_LABEL + max(pixels.shape[0] for _, pixels in row) for row in rows]
    total_w = 2 * _EDGE + sum(widths) + _GAP * (columns - 1)
    total_h = 2 * _EDGE + sum(heights) + _GAP * (len(rows) - 1) + (_FOOT if foot else 0)
    if max(total_w, total_h) > _TALLEST:
        return None
    figure = new_figure(total_w / DPI, total_h / DPI)
    y = total_h - _EDGE
    for row, height in zip(rows, heights, strict=True):
        x = _EDGE
        for (label, pixels), width in zip(row, widths, strict=False):
            figure.text(x / total_w, (y - 4) / total_h, label, size=11, color=INK, weight="bold",
                        va="top")  # fmt: skip
            figure.figimage(pixels, x, y - _LABEL - pixels.shape[0], origin="upper")
            x += width + _GAP
        y -= height + _GAP
    if foot:
        figure.text(_EDGE / total_w, _EDGE / total_h, foot, size=9, color=QUIET)
    return figure
