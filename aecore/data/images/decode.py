"""Image files to uint8 arrays: many at once, of any mode, antialiased."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from aecore.data.images.files import FORMATS, Files, may_have_pages
from aecore.types import ImageShape

T = TypeVar("T")
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
_WIDE = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_WHITE = 65535  # of integer files of more than 8 bits
AT_ONCE = 4096  # files handed to the threads: what waits there takes memory as well
_TASKS = 256  # that these are at most


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


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Image files as they were decoded.

    images: (M, C, H, W) uint8. kept: (K,) int64, which of the files could be decoded. broken: why
    others could not, by path.
    rows: which of `images` these K are, as `Split.rows`; None: all of them, held in memory.
    """

    images: Tensor
    kept: Tensor
    broken: dict[Path, str]
    rows: Tensor | None = None


def _upright(image: Image.Image, white: float | None) -> Image.Image:
    """Any image as L or RGB of 8 bits, `white` as 255; transparency is drawn on white.

    Raises ValueError for pixels without a white level, below 0 or beyond it.
    """
    image = ImageOps.exif_transpose(image)
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
        image = _upright(opened, recipe.white)
    image = image.convert("L" if recipe.channels == 1 else "RGB")
    if recipe.crop is not None:
        image = ImageOps.fit(image, (recipe.crop,) * 2) if min(image.size) < recipe.crop else image
        left, top = ((side - recipe.crop) // 2 for side in image.size)
        image = image.crop((left, top, left + recipe.crop, top + recipe.crop))
    height, width = recipe.size
    method = Image.Resampling.NEAREST if recipe.nearest else Image.Resampling.BICUBIC
    image = ImageOps.fit(image, (width, height), method=method)
    return np.asarray(image).reshape(height, width, recipe.channels).transpose(2, 0, 1)


@contextmanager
def _decoders() -> Iterator[ThreadPoolExecutor]:
    """A few threads; nobody hears Pillow's warnings but that of a bomb, which is an error."""
    # Filters are shared by all threads, so they are set once around the pool.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield pool


def _at_once(function: Callable[[Path], T], paths: Iterable[Path]) -> Iterator[T]:
    """The results of a function of paths, in order, by several threads.

    A task is several files of many: of small ones, handing over each takes as long as reading it.
    """

    def several(paths: Sequence[Path]) -> list[T]:
        return [function(path) for path in paths]

    rest = iter(paths)
    with _decoders() as pool:
        while part := list(islice(rest, AT_ONCE)):
            size = -(-len(part) // _TASKS)
            tasks = [part[start : start + size] for start in range(0, len(part), size)]
            yield from chain.from_iterable(pool.map(several, tasks))


def decode_into(images: np.ndarray, files: Files, recipe: Recipe) -> dict[int, str]:
    """Fill (N, C, H, W) uint8 with N files; why the broken ones among them stay as they are."""
    # Damaged files make Pillow raise nearly anything, also warnings turned into errors.

    def decoded(path: Path) -> np.ndarray | str:
        try:
            return decode(path, recipe)
        except Exception as error:
            return _reason(error)

    broken = {}
    for i, result in enumerate(_at_once(decoded, files)):
        if isinstance(result, str):
            broken[i] = result
        else:
            images[i] = result
    return broken


def _reason(error: Exception) -> str:
    """Why a file cannot be decoded, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "no image format is recognised"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller, or cut it into tiles"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def kept_of(count: int, broken: Iterable[int]) -> Tensor:
    """(K,) int64, ascending: indices of images that are not broken."""
    good = torch.ones(count, dtype=torch.bool)
    good[list(broken)] = False
    return good.nonzero()[:, 0]


def decode_all(files: Files, recipe: Recipe) -> Decoded:
    """Decode many files into memory; broken ones are listed, not raised."""
    images = np.empty((len(files), *recipe.shape), np.uint8)
    broken = decode_into(images, files, recipe)
    kept = kept_of(len(files), broken)
    tensor = torch.from_numpy(images)
    why = {files[i]: text for i, text in broken.items()}
    return Decoded(tensor[kept] if broken else tensor, kept, why)


def inspect(paths: Iterable[Path], look: Callable[[Image.Image], T]) -> Iterator[T | None]:
    """What a function finds in each image, which is open but not decoded; None if it is broken."""

    def look_at(path: Path) -> T | None:
        try:
            with open_image(path) as image:
                return look(image)
        except Exception:  # of many kinds, as in `decode_into`, which reports it
            return None

    return _at_once(look_at, paths)


def all_grey(paths: Iterable[Path]) -> bool:
    """Whether every image that can be decoded is grey; the first that is not decides.

    What is grey is read from the headers, so of grey images none is decoded here.
    """

    def grey(image: Image.Image) -> bool:
        if image.mode in GREY_MODES:
            return True
        _upright(image, None)  # broken files have no say
        return False

    any_grey = False
    for answer in inspect(paths, grey):
        if answer is False:
            return False
        any_grey |= answer is True
    return any_grey


def count_paged(files: Files) -> int:
    """How many of the files hold more than one image, by their headers."""
    some = (path for path in files if may_have_pages(path.name))
    return sum((n or 1) > 1 for n in inspect(some, lambda image: getattr(image, "n_frames", 1)))


def largest_value(files: Files) -> float:
    """The largest pixel of the files, as the files have them; 0 where none can be read."""

    def largest(image: Image.Image) -> float:
        return float(np.asarray(image.convert("RGB") if image.mode == "P" else image).max())

    return max((value or 0.0 for value in inspect(files, largest)), default=0.0)


def shape_of(image: Image.Image) -> ImageShape:
    """(C, H, W) by the header of a file, as it would be shown."""
    width, height = image.size
    if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:  # lies on its side
        width, height = height, width
    return (1 if image.mode in GREY_MODES else 3), height, width
