"""Image files to uint8 arrays: many at once, of any mode, antialiased."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from aecore.data.images.files import FORMATS, Files, may_have_pages
from aecore.data.images.memory import GIB, SMALLER
from aecore.errors import ConfigError
from aecore.types import ImageShape

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
_WIDE = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_WHITE = 65535  # of integer files of more than 8 bits
AT_ONCE = 4096  # files handed to the threads: what waits there takes memory as well


@dataclass(frozen=True, slots=True)
class Recipe:
    """The format that image files are converted to.

    size: (H, W) of the result. channels: 1 (grey) or 3 (RGB).
    white: the pixel value that is white; None for the largest of the file's type, 255 or 65535.
    crop: side of the centred square that is cut out first, in the file's pixels; None: no cut.
    """

    size: tuple[int, int]
    channels: int
    crop: int | None = None
    white: float | None = None

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


def _eight_bits(image: Image.Image, white: float | None) -> Image.Image:
    """Any image as L or RGB of 8 bits, `white` as 255; transparency is drawn on white.

    Raises ValueError for pixels without a white level, below 0 or beyond it.
    """
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
        image = _eight_bits(ImageOps.exif_transpose(opened), recipe.white)
    image = image.convert("L" if recipe.channels == 1 else "RGB")
    if recipe.crop is not None:
        image = ImageOps.fit(image, (recipe.crop,) * 2) if min(image.size) < recipe.crop else image
        left, top = ((side - recipe.crop) // 2 for side in image.size)
        image = image.crop((left, top, left + recipe.crop, top + recipe.crop))
    height, width = recipe.size
    image = ImageOps.fit(image, (width, height), method=Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, recipe.channels).transpose(2, 0, 1)


@contextmanager
def decoders() -> Iterator[ThreadPoolExecutor]:
    """A few threads; nobody hears Pillow's warnings but that of a bomb, which is an error."""
    # Filters are shared by all threads, so they are set once around the pool.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield pool


def decode_into(
    images: np.ndarray, files: Files, recipe: Recipe, pool: ThreadPoolExecutor
) -> dict[int, str]:
    """Fill (N, C, H, W) uint8 with N files; why the broken ones among them stay as they are."""

    def fill(i: int) -> str | None:
        # Damaged files make Pillow raise nearly anything, also warnings turned into errors.
        try:
            images[i] = decode(files[i], recipe)
        except Exception as error:
            return _reason(error)
        return None

    broken: dict[int, str] = {}
    for start in range(0, len(files), AT_ONCE):
        part = range(start, min(start + AT_ONCE, len(files)))
        reasons = zip(part, pool.map(fill, part), strict=True)
        broken |= {i: why for i, why in reasons if why is not None}
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
    """Decode many files into memory; broken ones are listed, not raised.

    Raises ConfigError where the result does not fit.
    """
    shape = (len(files), *recipe.shape)
    try:
        images = np.empty(shape, np.uint8)
    except (MemoryError, ValueError) as error:
        gib = np.prod(shape, dtype=float) / GIB
        raise ConfigError(
            "dataset.image_size", recipe.size,
            f"{len(files)} such images take {gib:.0f} GiB, more than there is memory", SMALLER,
        ) from error  # fmt: skip
    with decoders() as pool:
        broken = decode_into(images, files, recipe, pool)
    kept = kept_of(len(files), broken)
    tensor = torch.from_numpy(images)
    why = {files[i]: text for i, text in broken.items()}
    return Decoded(tensor[kept] if broken else tensor, kept, why)


def all_grey(paths: Iterable[Path]) -> bool:
    """Whether every image that can be decoded is grey; the first that is not decides.

    What is grey is read from the headers, so of grey images none is decoded here.
    """

    def grey(path: Path) -> bool | None:
        try:
            with open_image(path) as image:
                return image.mode in GREY_MODES
        except Exception:  # a broken file has no say here; decoding will report it
            return None

    def intact(path: Path) -> bool:
        try:
            decode(path, Recipe((1, 1), 3))
        except Exception:  # of many kinds, as in `decode_into`, which reports it
            return False
        return True

    found_grey = False
    rest = iter(paths)
    with decoders() as pool:
        while part := list(islice(rest, AT_ONCE)):
            answers = list(zip(part, pool.map(grey, part), strict=True))
            if any(answer is False and intact(path) for path, answer in answers):
                return False
            found_grey |= any(answer is True for _, answer in answers)
    return found_grey


def count_paged(files: Files) -> int:
    """How many of the files hold more than one image, by their headers."""

    def paged(path: Path) -> bool:
        try:
            with open_image(path) as image:
                return getattr(image, "n_frames", 1) > 1
        except Exception:  # decoding will report it
            return False

    some = [path for path in files if may_have_pages(path.name)]
    with decoders() as pool:
        return sum(pool.map(paged, some))


def largest_value(files: Files) -> float:
    """The largest pixel of the files, as the files have them; 0 where none can be read."""

    def largest(path: Path) -> float:
        try:
            with open_image(path) as image:
                return float(np.asarray(image.convert("RGB") if image.mode == "P" else image).max())
        except Exception:  # decoding has reported it
            return 0.0

    with decoders() as pool:
        return max(pool.map(largest, files), default=0.0)


def file_shape(path: Path) -> ImageShape | None:
    """(C, H, W) of an image file by its header, as it would be shown; None for a broken one."""
    try:
        with open_image(path) as image:
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:  # lies on its side
                width, height = height, width
            return (1 if image.mode in GREY_MODES else 3), height, width
    except Exception:  # decoding will report it
        return None
