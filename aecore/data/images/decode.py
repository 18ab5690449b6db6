"""An image file to a uint8 array: of any mode, antialiased. Workers import it, so no torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from aecore.data.images.files import FORMATS

if TYPE_CHECKING:
    from aecore.types import ImageShape

T = TypeVar("T")
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
_WIDE = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_WHITE = 65535  # of integer files of more than 8 bits
_TURNED = 5  # orientations of Exif from here on lie on their side


@dataclass(frozen=True, slots=True)
class Recipe:
    """The format that image files are converted to.

    size: (H, W) of the result. channels: 1 (grey) or 3 (RGB).
    white: the pixel value that is white; None for the largest of the file's type, 255 or 65535.
    crop: side of the centred square that is cut out first, in the file's pixels; None: no cut.
    nearest: take the nearest pixel when resizing, as masks need it, in place of the antialiased
        ones. No part of the key of the cache, which holds no masks.
    """

    size: tuple[int, int]
    channels: int
    crop: int | None = None
    white: float | None = None
    nearest: bool = field(default=False, repr=False)

    @property
    def shape(self) -> ImageShape:
        """(C, H, W) of the result."""
        return self.channels, *self.size


def open_image(path: Path) -> Image.Image:
    """An image file of an allowed format, opened but not decoded.

    Raises ValueError for a pipe or a device, which might never end.
    """
    if not path.is_file():
        raise ValueError("is not a regular file")
    return Image.open(path, formats=FORMATS)


def decode(path: Path, recipe: Recipe) -> np.ndarray:
    """One file as (C, H, W) uint8: turned upright, shorter side resized, centre cut out.

    Raises whatever Pillow raises for a file that it cannot read.
    """
    with open_image(path) as opened:
        image = upright(opened, recipe.white)
    mode = "L" if recipe.channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    if recipe.crop is not None:
        image = ImageOps.fit(image, (recipe.crop,) * 2) if min(image.size) < recipe.crop else image
        left, top = ((side - recipe.crop) // 2 for side in image.size)
        image = image.crop((left, top, left + recipe.crop, top + recipe.crop))
    height, width = recipe.size
    if image.size != (width, height):
        method = Image.Resampling.NEAREST if recipe.nearest else Image.Resampling.BICUBIC
        image = ImageOps.fit(image, (width, height), method=method)
    return np.asarray(image).reshape(height, width, recipe.channels).transpose(2, 0, 1)


def decode_some(paths: Sequence[Path], recipe: Recipe) -> tuple[np.ndarray, dict[int, str]]:
    """Files as (N, C, H, W) uint8, and why the broken ones among them, zeros, cannot be decoded."""
    images, broken = np.zeros((len(paths), *recipe.shape), np.uint8), {}
    for i, path in enumerate(paths):
        try:
            images[i] = decode(path, recipe)
        except Exception as error:  # damaged files make Pillow raise nearly anything
            broken[i] = _reason(error)
    return images, broken


def _reason(error: Exception) -> str:
    """Why a file cannot be decoded, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "no image format is recognised"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller, or cut it into tiles"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def look_at_some(paths: Sequence[Path], look: Callable[[Image.Image], T]) -> list[T | None]:
    """What a function finds in each image, which is open but not decoded; None if it is broken."""
    return [_looked_at(path, look) for path in paths]


def _looked_at(path: Path, look: Callable[[Image.Image], T]) -> T | None:
    try:
        with open_image(path) as image:
            return look(image)
    except Exception:  # of many kinds, as in `decode_some`, which reports it
        return None


@contextmanager
def quiet() -> Iterator[None]:
    """Nobody hears Pillow's warnings but that of a bomb, which is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def quietly(function: Callable[[Sequence[Path]], T], paths: Sequence[Path]) -> T:
    """The result of a function of some paths, in a process of its own."""
    with quiet():
        return function(paths)


def upright(image: Image.Image, white: float | None) -> Image.Image:
    """Any image, decoded, as L or RGB of 8 bits, `white` as 255; transparency is drawn on white.

    Raises ValueError for pixels without a white level, below 0 or beyond it.
    """
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    image.load()
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "F" and white is None:
        raise ValueError("floating-point pixels; dataset.white=NUMBER gives the value of white")
    if image.mode not in _WIDE:
        if white is None:
            return image
        image = image.convert("L" if image.mode in GREY_MODES else "RGB")
    values, white = np.asarray(image), white or _WHITE
    low, high = values.min(), values.max()
    if low < 0:
        raise ValueError(f"its smallest pixel is {low:.6g}; shift the pixels to 0 and above")
    if high > white:
        raise ValueError(
            f"its pixels lie in [{low:.6g}, {high:.6g}], not in [0, {white:.6g}]; "
            "dataset.white=NUMBER gives the value of white"
        )
    return Image.fromarray(np.round(values / (white / 255)).astype(np.uint8))


def is_grey(image: Image.Image) -> bool:
    """Whether an image is grey by its header; one that is not is decoded, as broken ones raise."""
    if image.mode in GREY_MODES:
        return True
    upright(image, None)
    return False


def pages(image: Image.Image) -> int:
    """How many images a file holds."""
    return getattr(image, "n_frames", 1)


def largest(image: Image.Image) -> float:
    """The largest pixel, as the file has it."""
    return float(np.asarray(image.convert("RGB") if image.mode == "P" else image).max())


def shape_of(image: Image.Image) -> ImageShape:
    """(C, H, W) by the header of a file, as it would be shown."""
    width, height = image.size
    if _orientation(image) >= _TURNED:
        width, height = height, width
    return (1 if image.mode in GREY_MODES else 3), height, width


def _orientation(image: Image.Image) -> int:
    found: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found
