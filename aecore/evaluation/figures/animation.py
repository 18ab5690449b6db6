"""Animations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from aecore.evaluation.figures.grid import displayable, levels, tile
from aecore.evaluation.figures.heat import enlarged


@dataclass(frozen=True, slots=True)
class Animation:
    """An animation returned by a figure; it loops.

    frames: (T, H, W) grey or (T, H, W, 3) RGB, uint8.
    duration: of a frame, in milliseconds.
    """

    frames: NDArray[np.uint8]
    duration: int

    def save(self, file: BinaryIO) -> None:
        """Write a GIF; grey is exact, colours are reduced to one palette of 256."""
        pages = [Image.fromarray(frame) for frame in self.frames]
        if self.frames.ndim == 4:
            # a palette per frame would flicker
            step = -(-len(self.frames) // 8)
            sample = Image.fromarray(np.concatenate(self.frames[::step]))
            palette = sample.quantize(256)
            pages = [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in pages]
        pages[0].save(
            file, format="GIF", save_all=True, append_images=pages[1:], loop=0,
            duration=self.duration, optimize=False,
        )  # fmt: skip


def there_and_back(pages: Iterable[Tensor], *, columns: int, side: int, duration: int) -> Animation:
    """An animation of grids of `columns` images (N, C, H, W), forwards and backwards.

    It has 2 * pages - 2 frames, at least 1.
    side: maximum side of an image in pixels of the file. duration: of a frame, in milliseconds.
    """
    frames = [_frame(images, columns, side) for images in pages]
    return Animation(np.stack(frames + frames[-2:0:-1]), duration)


def _frame(images: Tensor, columns: int, side: int) -> NDArray[np.uint8]:
    pixels = levels(tile(torch.split(enlarged(images, side), columns)))
    grey = displayable(images[:1]).shape[1] == 1
    frame: NDArray[np.uint8] = (pixels[0] if grey else pixels.movedim(0, -1)).numpy()
    return frame
