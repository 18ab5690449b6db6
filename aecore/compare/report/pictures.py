"""Pictures that runs left, to embed in the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_STRIPS = ("strip.png", "reconstructions.png")  # the first is the same images in every run
_STRIP_WIDTH = 640
_MOST_PIXELS = 20_000_000


@dataclass(frozen=True)
class Picture:
    """A picture as a `data:` address, with its size in pixels."""

    address: str
    width: int
    height: int


def strip_of(run: Path) -> Picture | None:
    """The reconstructions of a run; None where it drew nothing readable."""
    files = (run / "figures" / name for name in _STRIPS)
    return next(filter(None, (picture(file, 60_000, _STRIP_WIDTH) for file in files)), None)


def picture(file: Path, heavy: int, width: int | None = None) -> Picture | None:
    """A PNG file; None where it cannot be read, as it is being drawn, or is too large.

    heavy: bytes from which it is embedded as a JPEG, of at most that width.
    """
    try:
        data = file.read_bytes() if file.is_file() else b""
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            if len(data) <= heavy:
                image.verify()
                return Picture(data_address("png", data), *image.size)
            if width is not None:
                image.thumbnail((width, 10 * width), reducing_gap=2.0)
            jpeg = io.BytesIO()
            image.convert("RGB").save(jpeg, format="JPEG", quality=82)
            return Picture(data_address("jpeg", jpeg.getvalue()), *image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def data_address(kind: str, data: bytes) -> str:
    """An image as a `data:` address."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
