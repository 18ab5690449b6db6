"""The reconstructions of a run as a small embedded image."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

_NAMES = ("strip.png", "reconstructions.png")  # the first is the same images in every run
_PLAIN = 60_000  # bytes: what is smaller is taken as it is
_HEAVY = 1_500_000
_WIDTH = 640
_MOST_PIXELS = 20_000_000


def strip_of(folder: Path) -> tuple[str, tuple[int, int]] | None:
    """A `data:` address and its size in pixels; None where the run drew nothing readable."""
    for name in _NAMES:
        try:
            data = (folder / "figures" / name).read_bytes()
            return _embedded(data)
        except (
            OSError,
            ValueError,
            SyntaxError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
        ):
            continue  # being drawn at this moment, or damaged
    return None


def picture(file: Path, caption: str) -> str:
    """A PNG file as an `<img>` of its size; empty if it cannot be read.

    A heavy one is embedded as a JPEG, so that a page of photographs can still be sent around.
    """
    try:
        data, kind = file.read_bytes(), "png"
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            width, height = image.size
            if len(data) > _HEAVY:
                data, kind = _as_jpeg(image), "jpeg"
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return ""
    return (
        f'<img class="picture" src="{_address(kind, data)}" width="{width}" height="{height}"'
        f' alt="{escape(caption)}">'
    )


def _embedded(data: bytes) -> tuple[str, tuple[int, int]]:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        size = image.size
        if size[0] * size[1] > _MOST_PIXELS:
            raise ValueError("too large")
        if len(data) <= _PLAIN:
            image.verify()
            return _address("png", data), size
        image.thumbnail((_WIDTH, 10 * _WIDTH), reducing_gap=2.0)
        return _address("jpeg", _as_jpeg(image)), image.size


def _as_jpeg(image: Image.Image) -> bytes:
    small = io.BytesIO()
    image.convert("RGB").save(small, format="JPEG", quality=82)
    return small.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
