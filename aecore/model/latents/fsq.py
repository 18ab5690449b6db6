"""Finite scalar quantisation: rounded values, without a learned codebook."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.quantised import Quantised, straight_through

Levels = Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]


class FSQ(Quantised):
    """Each value of an entry is one of a few levels from -1 to 1 (Mentzer et al. 2023).

    levels: number of levels of each dimension of an entry. The dimension of an entry is the length
        of `levels`, the size of the codebook their product.
    tokens: entries per image, from a vector; None for one per position of a feature map.

    Values are bounded by tanh and rounded to the nearest level, with the straight-through gradient.
    Levels are symmetric around 0, so that an even number of them does not include 0; the paper
    shifts these instead.
    """

    name = "fsq"

    levels: Levels

    def __post_init__(self) -> None:
        self.codebook_size = math.prod(self.levels)
        self.round = Rounding(self.levels)

    @property
    @override
    def width(self) -> int:
        return len(self.levels)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        values = torch.tanh(self.split_tokens(at_least_float32(self.project(h))))
        entries = self.round(values)
        z = self.merge_tokens(entries)
        return Code(z, z, indices=self.place_tokens(self.round.indices(entries)))

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return self.merge_tokens(self.round(self.split_tokens(z).clamp(-1, 1)))

    @override
    def decode_indices(self, indices: Tensor) -> Tensor:
        return self.merge_tokens(self.round.entries(indices.flatten(1)))


class Rounding(nn.Module):
    """Rounds each dimension to the nearest of its levels, with the straight-through gradient."""

    steps: Tensor
    factors: Tensor

    def __init__(self, levels: list[int]) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(levels) - 1, persistent=False)
        factors = [math.prod(levels[:n]) for n in range(len(levels))]
        self.register_buffer("factors", torch.tensor(factors), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) in [-1, 1] -> the same, rounded."""
        return straight_through(2 * self._level(x) / self.steps - 1, x)

    def _level(self, x: Tensor) -> Tensor:
        return ((x + 1) / 2 * self.steps).round()

    def indices(self, entries: Tensor) -> Tensor:
        """Indices (...,) int64 of entries (..., width); the first dimension varies fastest."""
        return (self._level(entries).long() * self.factors).sum(-1)

    def entries(self, indices: Tensor) -> Tensor:
        """The entries (..., width) with these indices (...); the inverse of `indices`."""
        level = indices.unsqueeze(-1) // self.factors % (self.steps + 1)
        return 2 * level / self.steps - 1
