"""Sprites of known shape, size, turn and place: drawn in memory, nothing is downloaded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.data.images.memory import COPIES, available_memory, check_memory
from aecore.data.split import Source, Split, Which, fixed_part
from aecore.errors import ConfigError

SHAPES = ("square", "ellipse", "heart")
SMALLEST = 0.5  # scale; the largest is 1, a radius of a quarter of the image
SUPERSAMPLING = 8
HEART_RADIUS = 1.425  # of the curve below, around its origin

Coordinates = NDArray[np.float64]


@final
class Shapes(Source):
    """White squares, ellipses and hearts on black, (1, S, S) uint8 with smooth edges.

    Every combination of the factors is one image, in the manner of dSprites (Matthey et al.
    2017): shape, scale (from half to whole, equal steps), rotation (clockwise, equal steps of
    `turn`, its end left out), x (to the right) and y (down), both in steps of whole pixels. A
    fixed part of them is for testing, the same in every run. The labels are the shapes.

    image_size: a side in pixels. scales, rotations, positions (each of x and y): how many. turn:
    degrees; up to 90 no two images are the same, as a square is symmetric under it.
    """

    image_size: Annotated[int, Field(ge=16, le=1024)]
    scales: PositiveInt
    rotations: PositiveInt
    turn: Annotated[float, Field(gt=0, le=360)]
    positions: PositiveInt
    test_fraction: Annotated[float, Field(gt=0, lt=1)]

    def __post_init__(self) -> None:
        """Raises ConfigError if positions would be less than a pixel apart."""
        most = self.image_size // 2 + 1
        if self.positions > most:
            raise ConfigError(
                "dataset.positions", self.positions,
                f"in images of {self.image_size} pixels a side there is room for {most}",
                {"dataset.positions": f"{most} or less", "dataset.image_size": "a larger number"},
            )  # fmt: skip

    @property
    def counts(self) -> tuple[int, ...]:
        """How many values each factor has."""
        return len(SHAPES), self.scales, self.rotations, self.positions, self.positions

    def load(self, split: Which, data_dir: Path) -> Split:
        """Draw one split; `data_dir` is not used."""
        count = math.prod(self.counts)
        check_memory(
            COPIES * count * self.image_size**2, available_memory(), ("dataset", "shapes"),
            f"{count:,} images of {self.image_size} pixels a side",
            {"dataset.image_size": "a smaller number", "dataset.positions": "fewer"},
        )  # fmt: skip
        index = fixed_part(count, self.test_fraction, split)
        grid = np.unravel_index(index.numpy(), self.counts)
        factors = torch.from_numpy(np.stack(grid, 1).astype(np.int64))
        return Split(
            images=self._draw(factors),
            labels=factors[:, 0].clone(),
            class_names=SHAPES,
            factors=factors,
        )

    def _draw(self, factors: Tensor) -> Tensor:
        """(N, 1, S, S) uint8 of factors (N, F), which are in the order of the grid."""
        size = self.image_size
        images = np.empty((len(factors), size, size), np.uint8)
        sprites, which = torch.unique_consecutive(factors[:, :3], dim=0, return_counts=True)
        ends = which.cumsum(0).tolist()
        places = factors[:, 3:].numpy()
        for sprite, start, end in zip(sprites.tolist(), [0, *ends], ends, strict=False):
            x, y = places[start:end].T
            images[start:end] = self._windows(*sprite)[y, x]
        return torch.from_numpy(images).unsqueeze(1)

    def _windows(self, shape: int, scale: int, rotation: int) -> NDArray[np.uint8]:
        """(P, P, S, S), a view: the sprite at every y and x.

        It is drawn once, in a canvas as much larger as it travels, which is then looked at
        through a window: the further right the window, the further left the sprite.
        """
        _, scales, rotations, _, positions = self.counts
        size = self.image_size
        step = size // 2 // max(positions - 1, 1)
        radius = size / 4 * np.linspace(1, SMALLEST, scales)[::-1][scale]
        angle = math.radians(self.turn * rotation / rotations)
        canvas = np.zeros((size + step * (positions - 1),) * 2, np.uint8)
        around = len(canvas) // 2 - math.ceil(radius)  # on all sides, so the middle stays in place
        sprite = _sprite(SHAPES[shape], len(canvas) - 2 * around, radius, angle)
        canvas[around:-around, around:-around] = sprite
        windows = sliding_window_view(canvas, (size, size))[::step, ::step]
        return windows[::-1, ::-1]


def _sprite(shape: str, side: int, radius: float, angle: float) -> NDArray[np.uint8]:
    """(side, side): a shape in the middle, turned clockwise by radians; grey where it covers part.

    radius: of the circle around it, in pixels.
    """
    fine = SUPERSAMPLING
    at = ((np.arange(side * fine) + 0.5) / fine - side / 2) / radius
    right, down = at[None, :], at[:, None]
    cos, sin = math.cos(angle), math.sin(angle)
    inside = _inside(shape, cos * right + sin * down, cos * down - sin * right)
    covered = inside.reshape(side, fine, side, fine).mean((1, 3))
    grey: NDArray[np.uint8] = np.round(255 * covered).astype(np.uint8)
    return grey


def _inside(shape: str, x: Coordinates, y: Coordinates) -> NDArray[np.bool_]:
    """Which points are in a shape, within a circle of radius 1; x to the right, y down."""
    match shape:
        case "square":
            return np.maximum(np.abs(x), np.abs(y)) <= math.sqrt(0.5)
        case "ellipse":
            return x**2 + (2 * y) ** 2 <= 1
        case _:
            right, up = HEART_RADIUS * x, -HEART_RADIUS * y
            curve: NDArray[np.bool_] = (right**2 + up**2 - 1) ** 3 <= right**2 * up**3
            return curve
