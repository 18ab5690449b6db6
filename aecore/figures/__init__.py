"""Figures of a run: pure functions of a View; `draw` writes them as PNG files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from aecore.figures.curves import Curves
from aecore.figures.interpolations import Interpolations
from aecore.figures.latent import Latent
from aecore.figures.reconstructions import Reconstructions
from aecore.figures.samples import Samples
from aecore.figures.strip import Strip
from aecore.figures.view import NotApplicable, Picture, View

__all__ = [
    "Curves",
    "Interpolations",
    "Latent",
    "NotApplicable",
    "Picture",
    "Reconstructions",
    "Samples",
    "Strip",
    "View",
    "draw",
]


def draw(figures: Mapping[str, Picture], view: View, folder: Path) -> dict[str, str]:
    """Write `folder/NAME.png` for each figure, whole or not at all.

    The files hold no date and no version: the same view gives the same bytes.

    Returns the reasons of those that do not apply, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skipped: dict[str, str] = {}
    for name, picture in figures.items():
        try:
            figure = picture(view)
        except NotApplicable as reason:
            skipped[name] = str(reason)
            continue
        part = folder / f".{name}.{os.getpid()}.part"
        try:
            figure.savefig(part, format="png", dpi="figure", metadata={"Software": None})
            part.replace(folder / f"{name}.png")
        finally:
            part.unlink(missing_ok=True)
    return skipped
