"""A box as sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.samplers.base import CodeSampler, Fitted, shaped


@dataclass(frozen=True)
class Box(Fitted):
    """Uniform between two corners, (D,) each."""

    low: Tensor
    high: Tensor

    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        low, high = self.low.to(like), self.high.to(like)
        return low + (high - low) * like.new_empty((n, len(low))).uniform_(generator=generator)


class UniformBox(CodeSampler):
    """The smallest box that holds all codes; a baseline.

    images: maximum number of training images that are encoded.
    """

    name = "uniform_box"

    images: PositiveInt

    @override
    def fit(self, codes: Tensor, seed: int) -> Box:
        return Box(codes.amin(0), codes.amax(0))

    @override
    def restore(self, tensors: Mapping[str, Tensor], dim: int) -> Box:
        return Box(*shaped(tensors, low=(dim,), high=(dim,)))
