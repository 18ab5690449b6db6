"""Figures of a run: pure functions of a View; `draw` writes them as PNG or GIF files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from matplotlib.figure import Figure

from aecore.errors import NotApplicable
from aecore.figures.animation import Animation
from aecore.figures.code_correlation import CodeCorrelation
from aecore.figures.code_noise import CodeNoise
from aecore.figures.codes import Codes
from aecore.figures.curves import Curves
from aecore.figures.denoised import Denoised
from aecore.figures.error_distribution import ErrorDistribution
from aecore.figures.feature_maps import FeatureMaps
from aecore.figures.hidden_activity import HiddenActivity
from aecore.figures.interpolation_gif import InterpolationGif
from aecore.figures.interpolations import Interpolations
from aecore.figures.jacobian import Jacobian
from aecore.figures.kernels import Kernels
from aecore.figures.latent import Latent
from aecore.figures.ood import Ood
from aecore.figures.reconstructions import Reconstructions
from aecore.figures.robustness import Robustness
from aecore.figures.samples import Samples
from aecore.figures.strip import Strip
from aecore.figures.traversals import Traversals
from aecore.figures.view import Picture, View
from aecore.figures.weight_product import WeightProduct

__all__ = [
    "Animation",
    "CodeCorrelation",
    "CodeNoise",
    "Codes",
    "Curves",
    "Denoised",
    "ErrorDistribution",
    "FeatureMaps",
    "HiddenActivity",
    "InterpolationGif",
    "Interpolations",
    "Jacobian",
    "Kernels",
    "Latent",
    "NotApplicable",
    "Ood",
    "Picture",
    "Reconstructions",
    "Robustness",
    "Samples",
    "Strip",
    "Traversals",
    "View",
    "WeightProduct",
    "draw",
    "save",
]


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
