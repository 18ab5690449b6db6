"""Pictures that runs left, side by side on one page, each dot as it was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

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
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    ground = Image.new("RGBA", coloured.size, "white")
    return np.asarray(Image.alpha_composite(ground, coloured).convert("RGB"))


def _page(pictures: Mapping[str, np.ndarray], foot: str) -> Figure | None:
    """The pictures under their labels, in cells of one size, from left to right."""
    height = max(pixels.shape[0] for pixels in pictures.values())
    width = max(pixels.shape[1] for pixels in pictures.values())
    columns = columns_for(len(pictures), width, height)
    rows = -(-len(pictures) // columns)
    step_x = _GAP + max(width, round(_LETTER * max(map(len, pictures))))
    step_y = _GAP + _LABEL + height
    total_w = 2 * _EDGE - _GAP + columns * step_x
    total_h = 2 * _EDGE - _GAP + rows * step_y + (_FOOT if foot else 0)
    if max(total_w, total_h) > _TALLEST:
        return None
    figure = new_figure(total_w / DPI, total_h / DPI)
    for n, (label, pixels) in enumerate(pictures.items()):
        x, y = _EDGE + n % columns * step_x, total_h - _EDGE - n // columns * step_y
        at = (x / total_w, (y - 4) / total_h)
        figure.text(*at, label, size=11, color=INK, weight="bold", va="top")
        figure.figimage(pixels, x, y - _LABEL - pixels.shape[0], origin="upper")
    if foot:
        figure.text(_EDGE / total_w, _EDGE / total_h, foot, size=9, color=QUIET)
    return figure
