"""Image files to uint8 tensors: many at once, of any mode, antialiased."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from aecore.errors import UserError

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image file is turned into.

    size: (H, W) of the result. channels: 1 (grey) or 3 (RGB).
    crop: side of the centred square that is cut out first, in the file's pixels; None: no cut.
    """

    size: tuple[int, int]
    channels: int
    crop: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """images: (M, C, H, W) uint8. kept: (M,) int64, which of the paths. broken: why, by path."""

    images: Tensor
    kept: Tensor
    broken: dict[Path, str]


def _eight_bits(image: Image.Image) -> Image.Image:
    """Any image as L or RGB of 8 bits: 16 bits are rescaled, transparency lies on white."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("integer pixels beyond 16 bits; save it with 8 or 16 bits")
        return Image.fromarray(np.round(values / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def decode(path: Path, recipe: Recipe) -> np.ndarray:
    """One file as (C, H, W) uint8: turned upright, shorter side resized, centre cut out.

    Raises whatever Pillow raises for a file that it cannot read.
    """
    with Image.open(path) as opened:
        image = _eight_bits(ImageOps.exif_transpose(opened))
    image = image.convert("L" if recipe.channels == 1 else "RGB")
    if recipe.crop is not None:
        image = ImageOps.fit(image, (recipe.crop,) * 2) if min(image.size) < recipe.crop else image
        left, top = ((side - recipe.crop) // 2 for side in image.size)
        image = image.crop((left, top, left + recipe.crop, top + recipe.crop))
    height, width = recipe.size
    image = ImageOps.fit(image, (width, height), method=Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, recipe.channels).transpose(2, 0, 1)


def decode_all(paths: Sequence[Path], recipe: Recipe) -> Decoded:
    """Decode many files in a few threads; broken ones are listed, not raised.

    Raises UserError where the result does not fit into memory.
    """
    shape = (len(paths), recipe.channels, *recipe.size)
    try:
        images = np.empty(shape, np.uint8)
    except (MemoryError, ValueError) as error:
        gib = np.prod(shape, dtype=float) / 2**30
        raise UserError(
            f"dataset.image_size={list(recipe.size)}: {len(paths)} such images take {gib:.0f} GiB, "
            "more than there is memory.\nTake a smaller dataset.image_size."
        ) from error

    def fill(i: int) -> str | None:
        # Damaged files make Pillow raise nearly anything, also warnings turned into errors.
        try:
            images[i] = decode(paths[i], recipe)
        except Exception as error:
            return (str(error).splitlines() or [type(error).__name__])[0]
        return None

    # Filters are shared by all threads, so they are set once around the pool.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        reasons = list(pool.map(fill, range(len(paths))))
    broken = {path: why for path, why in zip(paths, reasons, strict=True) if why is not None}
    kept = torch.tensor([i for i, why in enumerate(reasons) if why is None], dtype=torch.int64)
    tensor = torch.from_numpy(images)
    return Decoded(tensor[kept] if broken else tensor, kept, broken)


def all_grey(paths: Sequence[Path]) -> bool:
    """Whether every readable file is a grey image, by its header."""

    def grey(path: Path) -> bool | None:
        try:
            with Image.open(path) as image:
                return image.mode in GREY_MODES
        except Exception:  # a broken file has no say here; decoding will report it
            return None

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")
        answers = set(pool.map(grey, paths))
    return False not in answers and True in answers
