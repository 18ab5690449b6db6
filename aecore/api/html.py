"""The HTML view of a trained model in a notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from aecore.errors import UserError
from aecore.model.slots import MAIN, named
from aecore.types import is_table

if TYPE_CHECKING:
    from aecore.api.trained import FitResult, Trained

_FIGURE = "figures/reconstructions.png"
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST = 2**21  # bytes of a figure
_METRICS = ("mse", "psnr", "ssim", "elbo", "kl", "loss")  # in this order, before others
_SHOWN = 8


def page(trained: Trained) -> str:
    """HTML: the components, some metrics and reconstructions of a model; nothing is executed."""
    nodes = trained.model.nodes
    names = {**named(nodes), **({} if trained.run is None else trained.run.choices)}
    template = Path(__file__).with_name("trained.html").read_text(encoding="utf-8")
    view: str = jinja2.Template(template, autoescape=True).render(
        trained=repr(trained),
        title=" on ".join(_option(names[name]) for name in ("model", "dataset") if names.get(name)),
        components={slot: (_option(names[slot]), ", ".join(_values(nodes[slot]))) for slot in MAIN},
        metrics=_metrics(trained),
        image=base64.b64encode(_image(trained)).decode(),
        drawn=trained.fitted is not None,
    )
    return view


def _values(node: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {' '.join(_values(value))}" if isinstance(value, Mapping) else f"{key}={value}"
        for key, value in node.items()
        if key != "_target_"
    ]


def _option(choice: object) -> str:
    """The name of an option, or the names of several."""
    names = choice if isinstance(choice, list) else [choice]
    return ", ".join(str(name)[:40] for name in names[:8]) or "none"


def _metrics(trained: Trained) -> dict[str, float]:
    """The metrics of every model first, of test or else validation images."""
    names = [f"{split}/{name}" for split in ("test", "val", "train") for name in _METRICS]
    with suppress(UserError):  # damaged ones, as `trained.metrics` tells
        metrics = trained.metrics
        return {name: metrics[name] for name in [n for n in names if n in metrics][:_SHOWN]}
    return {}


def _image(trained: Trained) -> bytes:
    """A PNG of images above their reconstructions, empty where there is none."""
    if trained.fitted is not None:
        return _drawn(trained, trained.fitted)
    file = (
        None if trained.run is None or trained.run.folder is None else trained.run.folder / _FIGURE
    )
    if file is None or not file.is_file() or file.stat().st_size >= _LARGEST:
        return b""
    data = file.read_bytes()
    return data if data.startswith(_PNG) else b""


def _drawn(trained: Trained, fitted: FitResult) -> bytes:
    """A PNG of a few images in one row and their reconstructions in another; none of tables."""
    from torchvision.utils import save_image  # slow, and not needed for a run that drew them

    from aecore.evaluation.figures.grid import tile

    if is_table(trained.image_shape):
        return b""
    reconstructions = trained.reconstruct(fitted.images, fitted.labels)
    file = io.BytesIO()
    save_image(tile([fitted.images, reconstructions]), file, format="png")
    return file.getvalue()
