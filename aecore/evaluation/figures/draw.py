"""Figures as files: PNG, or GIF for animations."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from aecore.errors import SkippedError
from aecore.evaluation.figures.animation import Animation
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import levels
from aecore.evaluation.trial import Trial
from aecore.runs.files import make_folder, replacing

_FORMAT: ContextVar[str] = ContextVar("format", default="png")
log = logging.getLogger("aecore")
_MOST_IMAGES = 5000  # of each data set, so that figures of large test sets take little time


def draw_figures(figures: Mapping[str, TrialFigure], trial: Trial, folder: Path) -> dict[str, str]:
    """Write each figure as `folder/NAME.png`, an animation as a GIF.

    A name that ends in its format does not repeat it: `NAME_gif` is written as NAME.gif.
    Figures that do not apply are left out, which is logged; returns the reasons by name.
    """
    trial = for_figures(trial)
    make_folder(folder)
    left_out: dict[str, str] = {}
    for name, figure in figures.items():
        try:
            drawn = figure(trial)
        except SkippedError as reason:
            log.info("figures.%s left out: %s", name, reason)
            left_out[name] = str(reason)
            continue
        save(drawn, folder, name.removesuffix("_gif") if isinstance(drawn, Animation) else name)
    return left_out


def for_figures(trial: Trial) -> Trial:
    """The trial with the images that figures use: the first 5000 of each data set."""
    ood = {name: trial.on(split).first(_MOST_IMAGES).images for name, split in trial.ood.items()}
    return replace(trial.first(_MOST_IMAGES), ood=ood)


@contextmanager
def also_as(extension: str) -> Iterator[None]:
    """For a while, write figures in another format beside PNG: `pdf` or `svg`."""
    before = _FORMAT.set(extension)
    try:
        yield
    finally:
        _FORMAT.reset(before)


def save(drawn: Figure | Animation, folder: Path, name: str) -> Path:
    """Atomically write `folder/NAME.png`, or NAME.gif for an animation; returns its path.

    In a format of `also_as`, too. Files have no date and version, so that the same figure gives
    the same bytes.
    """
    path = folder / f"{name}.{'gif' if isinstance(drawn, Animation) else 'png'}"
    with replacing(path) as file, catch_warnings():
        if isinstance(drawn, Animation):
            drawn.save(file)
        else:  # a character that the font lacks is drawn as a box, which shows it
            filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            drawn.savefig(file, format="png", dpi="figure", metadata={"Software": None})
            if (extension := _FORMAT.get()) != "png":
                _save_vectors(drawn, path.with_suffix(f".{extension}"))
    return path


def _save_vectors(drawn: Figure, path: Path) -> None:
    date = {".pdf": "CreationDate", ".svg": "Date"}[path.suffix]
    with replacing(path) as file, rc_context({"svg.hashsalt": "aecore"}):
        drawn.savefig(file, format=path.suffix[1:], metadata={date: None})


def save_image(image: Tensor, path: Path) -> None:
    """Write one image (C, H, W), pixels in [0, 1], as PNG of the same size: grey, RGB or RGBA."""
    with replacing(path) as file:
        to_pil_image(levels(image)).save(file, format="PNG")
