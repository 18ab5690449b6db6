"""Finite scalar quantisation: rounded numbers, no book of words."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt, component
from aecore.model.codes import Code
from aecore.model.latents.quantised import Quantised, straight_through

Levels = Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]


class FSQ(Quantised):
    """Each number of a word is one of a few levels from -1 to 1 (Mentzer et al. 2023).

    levels: how many each number has; a word has as many numbers as `levels` entries, and there are
        as many words as their product.

    Numbers are bounded by tanh and rounded to the nearest level; the gradient passes the rounding
    as if it were not there. Levels lie evenly around 0, so an even number of them has none at 0:
    the paper shifts these instead.
    """

    @component
    def __init__(self, *, levels: Levels, words: PositiveInt | None) -> None:
        super().__init__("fsq", words, len(levels))
        self.codes = math.prod(levels)
        self.round = Rounding(levels)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        numbers = torch.tanh(self.apart(self.precise(self.project(h))))
        words = self.round(numbers)
        z = self.together(words)
        return Code(z, z, indices=self.placed(self.round.number(words)))

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return self.together(self.round(self.apart(z).clamp(-1, 1)))

    @override
    def decode_indices(self, indices: Tensor) -> Tensor:
        return self.together(self.round.numbered(indices.flatten(1)))


class Rounding(nn.Module):
    """To the nearest of each number's levels, with the gradient of the identity."""

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

    def number(self, words: Tensor) -> Tensor:
        """Which word it is, counted with the first number running fastest: (...,) int64."""
        return (self._level(words).long() * self.factors).sum(-1)

    def numbered(self, number: Tensor) -> Tensor:
        """The words (..., width) of those numbers (...): `number` undone."""
        level = number.unsqueeze(-1) // self.factors % (self.steps + 1)
        return 2 * level / self.steps - 1
