"""The README of exported files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import EXPORTED
from aecore.types import is_table
from aecore.version import __version__

_BATCH = 16
_NAMES = 30  # of classes
_HOLDS = {
    "encoder": "images to codes",
    "decoder": "codes to images",
    "autoencoder": "images to their reconstructions",
    "model": "weights, and what makes a model of them",
}


def readme(
    model: Autoencoder, files: Mapping[str, float], images_text: str, classes: Sequence[str] | None
) -> str:
    """Markdown: what goes in and comes out, and a few lines of Python for each format.

    files: the largest difference of each from the original. images_text: the images of
    that check. classes: names of the labels 0, 1, ..., or None.
    """
    rows = [
        f"| `{f}` | {_HOLDS[f.partition('.')[0]]} | {worst:.1g} |" for f, worst in files.items()
    ]
    parts = [
        "# A trained autoencoder",
        _arrays(model, classes),
        _remarks(model),
        "\n".join(["| file | | largest difference |", "| --- | --- | --- |", *rows]),
        f"The difference is from the model as it was trained, on {images_text}, one at a time\n"
        f"and many at once. `config.json` says what was trained. Written by aecore {__version__}.",
    ]
    if EXPORTED in files:
        parts += ["## aecore", _block(_with_aecore(model))]
    if "autoencoder.onnx" in files:
        parts += ["## onnxruntime", _block(_with_onnx(model, "decoder.onnx" in files))]
    if "autoencoder.pt2" in files:
        parts += ["## PyTorch", _block(_with_torch(model, "decoder.pt2" in files))]
    return "\n\n".join(parts) + "\n"


def _shape(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, ("N", *shape))) + ")"


def _arrays(model: Autoencoder, classes: Sequence[str] | None) -> str:
    table = is_table(model.image_shape)
    values = "numbers as those of the table that was learned" if table else "pixels in [0, 1]"
    rows = [
        "| | shape | |",
        "| --- | --- | --- |",
        f"| images | {_shape(model.image_shape)} | float32, {values} |",
        f"| codes | {_shape(model.code_shape)} | float32 |",
    ]
    if model.classes is not None:
        names = [f"{n} {name}" for n, name in enumerate(classes or ()) if name != str(n)]
        listed = ", ".join(names[:_NAMES]) or f"from 0 to {model.classes - 1}"
        rows.append(f"| labels | (N,) | int64, the class of each image: {listed} |")
    return "\n".join(rows)


def _remarks(model: Autoencoder) -> str:
    lines = [
        "N is any number, 1 too. Nothing is random: a code is the mean, an image the mean image."
    ]
    if model.standardised:
        lines.append("Images are standardised inside, and turned back.")
    if model.needs_context:
        lines.append("There is no encoder or decoder alone: what is pooled passes by the code.")
    return "\n".join(lines)


def _block(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```"])


def _with_aecore(model: Autoencoder) -> list[str]:
    conditional = model.classes is not None
    lines = ["import aecore", "import numpy as np", "", *_numpy(model)]
    lines += [
        f'ae = aecore.load("{EXPORTED}")',
        f"codes = ae.encode(images{', labels' * conditional})",
    ]
    if model.needs_context:
        return [*lines, f"reconstructions = ae.reconstruct(images{', labels' * conditional})"]
    return [*lines, f"reconstructions = ae.decode(codes{', labels' * conditional})"]


def _with_onnx(model: Autoencoder, separate: bool) -> list[str]:
    lines = ["import numpy as np", "from onnxruntime import InferenceSession", "", *_numpy(model)]
    conditional = ', "labels": labels' * (model.classes is not None)
    if not separate:
        lines += ['session = InferenceSession("autoencoder.onnx")']
        return [
            *lines,
            f'(reconstructions,) = session.run(None, {{"images": images{conditional}}})',
        ]
    return [
        *lines,
        'encoder, decoder = InferenceSession("encoder.onnx"), InferenceSession("decoder.onnx")',
        f'(codes,) = encoder.run(None, {{"images": images{conditional}}})',
        f'(reconstructions,) = decoder.run(None, {{"codes": codes{conditional}}})',
    ]


def _with_torch(model: Autoencoder, separate: bool) -> list[str]:
    shape = ", ".join(map(str, (_BATCH, *model.image_shape)))
    lines = ["import torch", "", f"images = torch.rand({shape})"]
    conditional = ", labels" * (model.classes is not None)
    if conditional:
        lines += [f"labels = torch.zeros({_BATCH}, dtype=torch.int64)"]
    if not separate:
        lines += ['autoencoder = torch.export.load("autoencoder.pt2").module()']
        return [*lines, f"reconstructions = autoencoder(images{conditional})"]
    return [
        *lines,
        'encoder = torch.export.load("encoder.pt2").module()',
        'decoder = torch.export.load("decoder.pt2").module()',
        f"codes = encoder(images{conditional})",
        f"reconstructions = decoder(codes{conditional})",
    ]


def _numpy(model: Autoencoder) -> list[str]:
    shape = ", ".join(map(str, (_BATCH, *model.image_shape)))
    lines = [f"images = np.random.rand({shape}).astype(np.float32)"]
    if model.classes is not None:
        lines.append(f"labels = np.zeros({_BATCH}, np.int64)")
    return lines
