"""Images of independent uniform pixels: what no model of anything should find familiar."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from pydantic import Field

from aecore.config.component import PositiveInt
from aecore.data.images.memory import available_memory, check_memory
from aecore.data.split import Source, Split, Which

_STREAMS: dict[Which, int] = {"train": 0, "test": 1}


@final
class Uniform(Source):
    """(C, H, W) uint8 images, each number uniform on 0..255 and independent of all others.

    Equal in every run, for any seed; fewer images are the first ones.

    shape: [C, H, W]. images: number of training and of test images.
    """

    shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    images: PositiveInt

    def load(self, split: Which, data_dir: Path) -> Split:
        """Draw one split; `data_dir` is not used."""
        shape = (self.images, *self.shape)
        size = math.prod(shape)
        check_memory(
            size, available_memory(), ("dataset.images", self.images),
            f"images of {self.shape}", "give fewer or smaller ones",
        )  # fmt: skip
        # raw bits: what NumPy makes of them elsewhere may change between its versions
        raw = np.random.PCG64(_STREAMS[split]).random_raw(-(-size // 8))
        pixels = raw.astype("<u8", copy=False).view(np.uint8)[:size]
        return Split(torch.from_numpy(pixels).view(shape))
