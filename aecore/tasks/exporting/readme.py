"""The README of exported files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import EXPORTED
from aecore.tasks.exporting.inference import state_text, threshold_text
from aecore.types import is_table
from aecore.version import __version__

_TEMPLATE = Path(__file__).with_suffix(".md.jinja")
_BATCH = 16
_NAMES = 30  # of classes
_HOLDS = {
    "encoder": "images to codes",
    "decoder": "codes to images",
    "autoencoder": "images to their reconstructions",
    "model": "weights, and what makes a model of them",
}


def readme(
    model: Autoencoder,
    files: Mapping[str, float],
    images_text: str,
    settings: Mapping[str, Any],
    missing: str | None,
) -> str:
    """Markdown: what goes in and comes out, and a few lines of Python for each format.

    files: the largest difference of each from the original. images_text: the images of
    that check. settings: the content of config.json. missing: why there is no predict.py, or None.
    """
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    names = [
        f"{n} {name}" for n, name in enumerate(settings["class_names"] or ()) if name != str(n)
    ]
    return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        model=model,
        kind=str(model.shift.dtype).removeprefix("torch."),
        limits=None if model.limits is None else model.limits.tolist(),
        files=files,
        images_text=images_text,
        classes=", ".join(names[:_NAMES]) or f"from 0 to {(model.classes or 0) - 1}",
        columns=settings["config"]["dataset"].get("columns"),
        state=state_text(settings["run"]),
        pixels=settings["preprocessing"],
        score=settings["score"],
        threshold=threshold_text(settings["score"]),
        missing=missing,
        conditional=model.classes is not None,
        whole=model.needs_context,
        table=is_table(model.image_shape),
        batch=", ".join(map(str, (_BATCH, *model.image_shape))),
        batch_size=_BATCH,
        shape=lambda shape: f"({', '.join(map(str, ('N', *shape)))})",
        holds=_HOLDS,
        exported=EXPORTED,
        version=__version__,
    )
