"""The size of images in formats without a model: PNG, and zlib of the raw pixels."""

from __future__ import annotations

import io
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

PNG_FRAME = 57  # bytes of a PNG file besides the pixels: signature, header, two frames
_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA


def png_bytes(pixels: Tensor, black_and_white: bool = False) -> float | None:
    """The mean size of a PNG file of uint8 images (N, C, H, W), as Pillow optimises it.

    None for channels that PNG does not have. black_and_white: pixels are 0 and 255 alone, and take
    a bit each.
    """
    grey = pixels.shape[1] == 1
    if pixels.shape[1] not in _CHANNELS:
        return None
    total = 0
    for image in _channels_last(pixels):
        picture = Image.fromarray(image[..., 0] if grey else image)
        if black_and_white and grey:
            picture = picture.convert("1", dither=Image.Dither.NONE)
        file = io.BytesIO()
        picture.save(file, "PNG", optimize=True)
        total += file.tell()
    return total / len(pixels)


def zlib_bytes(pixels: Tensor, black_and_white: bool = False) -> float:
    """The mean size of each image (N, C, H, W) by itself through zlib at its best level.

    Colours are interleaved, as in PNG. black_and_white: pixels are packed, eight a byte.
    """
    arrays = _channels_last(pixels)
    raw = (np.packbits(a > 0) if black_and_white else np.ascontiguousarray(a) for a in arrays)
    return sum(len(zlib.compress(a.tobytes(), 9)) for a in raw) / len(pixels)


def as_stored(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1] as the nearest of 256 levels, uint8."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def _channels_last(pixels: Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return array
