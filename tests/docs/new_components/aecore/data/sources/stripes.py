"""Images of stripes."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch

from aecore.config.component import PositiveInt
from aecore.data.split import Source, Split, Which


@final
class Stripes(Source):
    """(1, side, side) uint8 images, white in one column or row.

    side: height and width. images: number of training and of test images.
    """

    side: PositiveInt
    images: PositiveInt

    def load(self, split: Which, data_dir: Path) -> Split:
        """Draw one split; `data_dir` is not used."""
        pixels = torch.zeros(self.images, 1, self.side, self.side, dtype=torch.uint8)
        for index in range(self.images):
            image = pixels[index, 0]
            (image if index % 2 else image.T)[index // 2 % self.side] = 255
        return Split(pixels)
