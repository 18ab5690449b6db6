"""Figures on the disk: `draw` writes those of a run as PNG or GIF files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from matplotlib.figure import Figure

from aecore.errors import NotApplicable
from aecore.evaluation.figures.animation import Animation
from aecore.evaluation.figures.view import Picture, View


def draw(figures: Mapping[str, Picture], view: View, folder: Path) -> dict[str, str]:
    """Write `folder/NAME.png` for each figure; what moves is a GIF.

    A name that ends in its format does not say it twice: `NAME_gif` is written as NAME.gif.

    Returns the reasons of those that do not apply, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skipped: dict[str, str] = {}
    for name, picture in figures.items():
        try:
            drawn = picture(view)
        except NotApplicable as reason:
            skipped[name] = str(reason)
            continue
        save(drawn, folder, name.removesuffix("_gif") if isinstance(drawn, Animation) else name)
    return skipped


def save(drawn: Figure | Animation, folder: Path, name: str) -> Path:
    """Write `folder/NAME.png`, or NAME.gif of what moves, whole or not at all; returns its path.

    The file holds no date and no version: the same figure gives the same bytes.
    """
    part = folder / f".{name}.{os.getpid()}.part"
    try:
        if isinstance(drawn, Animation):
            drawn.save(part)
            return part.replace(folder / f"{name}.gif")
        with catch_warnings():  # a letter that the font lacks is drawn as a box, which tells it
            filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            drawn.savefig(part, format="png", dpi="figure", metadata={"Software": None})
        return part.replace(folder / f"{name}.png")
    finally:
        part.unlink(missing_ok=True)
