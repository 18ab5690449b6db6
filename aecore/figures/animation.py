"""Moving pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class Animation:
    """What a figure returns that moves; it repeats for ever.

    frames: (T, H, W) grey or (T, H, W, 3) RGB, uint8.
    duration: of a frame, in milliseconds.
    """

    frames: NDArray[np.uint8]
    duration: int

    def save(self, path: Path) -> None:
        """Write a GIF; grey is exact, colours are reduced to 256 that all frames share."""
        pages = [Image.fromarray(frame) for frame in self.frames]
        if self.frames.ndim == 4:
            # one palette: with one for each frame the colours would flicker
            step = -(-len(self.frames) // 8)
            sample = Image.fromarray(np.concatenate(self.frames[::step]))
            palette = sample.quantize(256)
            pages = [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in pages]
        pages[0].save(
            path, format="GIF", save_all=True, append_images=pages[1:], loop=0,
            duration=self.duration, optimize=False,
        )  # fmt: skip
