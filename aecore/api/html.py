"""The HTML view of a trained model in a notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from aecore.errors import UserError
from aecore.model.slots import named
from aecore.types import is_table

if TYPE_CHECKING:
    from aecore.api.trained import FitResult, Trained

_FIGURE = "figures/reconstructions.png"
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST = 2**21  # bytes of a figure
_COMPONENTS = ("network", "latent", "noise", "penalty", "reconstruction")
_METRICS = ("mse", "psnr", "ssim", "elbo", "kl", "loss")  # in this order, before others
_SHOWN = 8
_SMALL = 'style="font-size: 80%; opacity: 0.7"'
_CELL = 'style="text-align: left; padding: 2px 14px 2px 0; border: none; background: none"'


def page(trained: Trained) -> str:
    """HTML: the components, some metrics and reconstructions of a model; nothing is executed."""
    folder = None if trained.run is None else trained.run.folder
    metrics: Mapping[str, float] = {}
    with suppress(UserError):  # damaged ones, as `trained.metrics` tells
        metrics = trained.metrics
    parts = [_components(trained), _metrics(metrics), _image(trained, folder)]
    return f'<div style="max-width: 48em">{"".join(parts)}</div>'


def _components(trained: Trained) -> str:
    """Network x latent x noise x penalty x reconstruction, their values as tooltips."""
    nodes = trained.model.nodes
    names = {**named(nodes), **({} if trained.run is None else trained.run.choices)}
    cells = []
    for slot in _COMPONENTS:
        values = escape(", ".join(_values(nodes[slot])), quote=True)
        cells.append(f'<td {_CELL} title="{values}"><b>{_option(names[slot])}</b></td>')
    heads = "".join(f"<td {_CELL}><span {_SMALL}>{slot}</span></td>" for slot in _COMPONENTS)
    title = " on ".join(_option(names[name]) for name in ("model", "dataset") if names.get(name))
    lines = [f"<b>{title}</b>"] if title else []
    lines.append(f"<code {_SMALL}>{escape(repr(trained))}</code>")
    return f"<p>{'<br>'.join(lines)}</p><table><tr>{heads}</tr><tr>{''.join(cells)}</tr></table>"


def _values(node: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {' '.join(_values(value))}" if isinstance(value, Mapping) else f"{key}={value}"
        for key, value in node.items()
        if key != "_target_"
    ]


def _option(choice: object) -> str:
    """The name of an option, or the names of several."""
    names = choice if isinstance(choice, list) else [choice]
    return escape(", ".join(str(name)[:40] for name in names[:8]) or "none")


def _metrics(metrics: Mapping[str, float]) -> str:
    """The metrics of every model first, of test or else validation images."""
    names = [f"{split}/{name}" for split in ("test", "val", "train") for name in _METRICS]
    shown = [name for name in names if name in metrics][:_SHOWN]
    if not shown:
        return ""
    heads = "".join(f"<td {_CELL}><span {_SMALL}>{name}</span></td>" for name in shown)
    cells = "".join(f"<td {_CELL}>{metrics[name]:.4g}</td>" for name in shown)
    return f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"


def _image(trained: Trained, folder: Path | None) -> str:
    """Images above their reconstructions."""
    data, style = b"", "max-width: 100%"
    if trained.fitted is not None:
        data = _drawn(trained, trained.fitted)
        style += "; min-width: 24em; image-rendering: pixelated"
    elif folder is not None and (folder / _FIGURE).is_file():
        file = folder / _FIGURE
        data = file.read_bytes() if file.stat().st_size < _LARGEST else b""
    if not data.startswith(_PNG):
        return ""
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<p><img alt="images and their reconstructions" style="{style}" src="{source}"></p>'


def _drawn(trained: Trained, fitted: FitResult) -> bytes:
    """A PNG of a few images in one row and their reconstructions in another; none of tables."""
    from PIL import Image

    if is_table(trained.image_shape):
        return b""
    both = torch.stack([fitted.images, trained.reconstruct(fitted.images, fitted.labels)])
    colours = both if trained.image_shape[0] == 3 else both[:, :, :1].expand(-1, -1, 3, -1, -1)
    rows = colours.clamp(0, 1).mul(255).round().to(torch.uint8)  # (2, n, 3, H, W)
    rows = F.pad(rows, (0, 1, 0, 1), value=255)
    pixels: Tensor = rows.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    file = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(file, "PNG")
    return file.getvalue()
