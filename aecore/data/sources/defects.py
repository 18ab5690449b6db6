"""Striped textures, some with a scratch or a spot of known pixels: drawn in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from aecore.config.component import NonNegativeInt, PositiveInt
from aecore.data.images.memory import available_memory, check_memory
from aecore.data.split import Source, Split, Which

CLASSES = ("good", "scratch", "spot")
STRIPES = (2.0, 4.0)  # the fewest and the most waves along a side
TURN = np.pi / 8  # the largest to either side
AMPLITUDE, NOISE = 0.2, 0.03  # of the waves, standard deviation of each pixel
LENGTH = {"scratch": (0.25, 0.5), "spot": (0.0, 0.0)}  # in sides of the image
RADIUS = {"scratch": (0.75, 0.75), "spot": (1.5, 3.0)}  # in pixels
_FLOATS = 12  # arrays of float64 that are held at a time, at most
_STREAMS: dict[Which, int] = {"train": 0, "test": 1}

Array = NDArray[np.float64]


@final
class Defects(Source):
    """Grey stripes (1, S, S) uint8 with noise; in the test split two thirds have a defect.

    A texture is 0.5 + 0.2 sin(2 pi f.x + phase) and Gaussian noise of standard deviation 0.03: 2
    to 4 waves along a side, upright within pi / 8, any phase. Defects are brighter or darker by
    `contrast`: a scratch is 1.5 pixels wide and up to half a side long, a spot is a disc of 3 to 6
    pixels. Their pixels are the masks of the split. Equal in every run, for any seed.

    image_size: a side in pixels. images: of the training, all good. test_images: a third each
    good, with a scratch, and with a spot. draw: seed of all that is drawn.
    """

    image_size: Annotated[int, Field(ge=16, le=1024)]
    images: PositiveInt
    test_images: PositiveInt
    contrast: Annotated[float, Field(gt=0, le=1)]
    draw: NonNegativeInt

    def load(self, split: Which, data_dir: Path) -> Split:
        """Draw one split; `data_dir` is not used."""
        key = "images" if split == "train" else "test_images"
        count = self.images if split == "train" else self.test_images
        check_memory(
            8 * _FLOATS * count * self.image_size**2, available_memory(),
            (f"dataset.{key}", count), "images", "draw fewer or smaller ones",
        )  # fmt: skip
        rng = np.random.default_rng((self.draw, _STREAMS[split]))
        pixels = _textures(rng, count, self.image_size)
        labels = np.zeros(count, np.int64) if split == "train" else np.arange(count) % 3
        masks = None
        if split == "test":
            distance = _distances(rng, labels, self.image_size)
            sign = rng.choice([-1.0, 1.0], (count, 1, 1))
            pixels += sign * self.contrast * np.clip(0.5 - distance, 0, 1)  # smooth at the edge
            masks = torch.from_numpy(distance <= 0).unsqueeze(1)
        images = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
        return Split(
            images=torch.from_numpy(images).unsqueeze(1),
            labels=torch.from_numpy(labels),
            class_names=CLASSES,
            masks=masks,
        )


def _textures(rng: Generator, count: int, size: int) -> Array:
    """(N, S, S) of mean 0.5."""
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    angle = rng.uniform(-TURN, TURN, (count, 1, 1))
    waves = rng.uniform(*STRIPES, (count, 1, 1)) / size
    at = np.arange(size)
    along = np.cos(angle) * at[None, :] + np.sin(angle) * at[:, None]
    noise: Array = NOISE * rng.standard_normal((count, size, size))
    return 0.5 + AMPLITUDE * np.sin(2 * np.pi * waves * along + phase) + noise


def _distances(rng: Generator, labels: NDArray[np.int64], size: int) -> Array:
    """(N, S, S) how far each pixel is outside of the defect of its image, in pixels; inf for none.

    A defect is what lies within a radius of a line, whose length is 0 for a spot.
    """
    count = len(labels)
    lengths, radii = (
        np.array([(0.0, 0.0), *(ranges[name] for name in CLASSES[1:])])[labels]
        for ranges in (LENGTH, RADIUS)
    )
    half = size / 2 * rng.uniform(*lengths.T)[:, None, None]
    radius = rng.uniform(*radii.T)[:, None, None]
    x, y = rng.uniform(0.2 * size, 0.8 * size, (2, count, 1, 1))
    angle = rng.uniform(0, np.pi, (count, 1, 1))
    right, down = np.arange(size)[None, :] - x, np.arange(size)[:, None] - y
    along = np.abs(np.cos(angle) * right + np.sin(angle) * down)
    across = np.cos(angle) * down - np.sin(angle) * right
    distance: Array = np.hypot(np.maximum(along - half, 0), across) - radius
    return np.where(labels[:, None, None] == 0, np.inf, distance)
