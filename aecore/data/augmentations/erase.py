"""Images with an erased rectangle."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import Probability
from aecore.data.augmentations.base import Augmentation, draw_uniform
from aecore.errors import ConfigError

Pair = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]


class Erase(Augmentation):
    """A rectangle is replaced by a constant with probability p: random erasing.

    Zhong et al. 2020 (AAAI), algorithm 1, but a rectangle that is longer than the image ends at its
    border instead of being drawn again.

    area: smallest and largest fraction of the image. ratio: of height to width, log-uniform.
    value: of the erased pixels.
    """

    p: Probability
    area: Pair
    ratio: Pair
    value: Annotated[float, Field(ge=0, le=1)]

    def __post_init__(self) -> None:
        for key, pair in (("area", self.area), ("ratio", self.ratio)):
            if pair[0] > pair[1]:
                problem = "the first must not be larger than the second"
                raise ConfigError(f"augment.erase.{key}", pair, problem)
        if self.area[1] > 1:
            raise ConfigError("augment.erase.area", self.area, "must be fractions of the image")

    @override
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        height, width = x.shape[2:]
        area = draw_uniform(x, generator, *self.area) * (height * width)
        ratio = draw_uniform(x, generator, *map(math.log, self.ratio)).exp()
        rows = _inside(x, (area * ratio).sqrt(), height, generator)[:, None, :, None]
        columns = _inside(x, (area / ratio).sqrt(), width, generator)[:, None, None, :]
        chosen = (draw_uniform(x, generator) < self.p)[:, None, None, None]
        return x.masked_fill(rows & columns & chosen, self.value)


def _inside(x: Tensor, length: Tensor, side: int, generator: Generator) -> Tensor:
    """(N, side) bool: a random stretch of each image's rows or columns of that length, (N,)."""
    length = length.round().clamp(1, side)
    start = (draw_uniform(x, generator) * (side - length + 1)).floor()[:, None]
    place = torch.arange(side, device=x.device)
    return (place >= start) & (place < start + length[:, None])
