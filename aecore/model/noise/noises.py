"""The noises; Vincent et al. 2010 (JMLR 11) compare them."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, PositiveInt, Probability
from aecore.model.noise.base import Noise, Span


def _uniform(x: Tensor, generator: Generator | None) -> Tensor:
    return torch.empty_like(x).uniform_(generator=generator)


class NoNoise(Noise):
    """The identity."""

    active = False

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        return x


class GaussianNoise(Noise):
    """x + std * eps, eps ~ N(0, 1) for each pixel."""

    std: NonNegativeFloat

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        return x + self.std * torch.empty_like(x).normal_(generator=generator)


class Dropout(Noise):
    """Masking: each value becomes 0 (black; the mean of standardised data) with probability p."""

    p: Probability

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        return x * (_uniform(x, generator) >= self.p)


class SaltAndPepper(Noise):
    """Each value is replaced with probability p: by white in `salt` of the cases, else by black."""

    p: Probability
    salt: Probability

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        black, white = span
        u = _uniform(x, generator)
        return torch.where(u < self.p * self.salt, white, torch.where(u < self.p, black, x))


class Stains(Noise):
    """x - depth * max(f, 0), with a smooth random field f of mean 0 for each channel of an image.

    f interpolates (bicubic) independent draws of N(0, 1), about every `size` pixels: half of the
    image becomes darker, gradually.
    """

    depth: NonNegativeFloat
    size: PositiveInt

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        height, width = x.shape[2:]
        draws = x.new_empty(*x.shape[:2], height // self.size + 2, width // self.size + 2)
        field = F.interpolate(draws.normal_(generator=generator), (height, width), mode="bicubic")
        return x - self.depth * field.clamp(min=0)


class Chain(Noise):
    """Several noises in sequence."""

    steps: Annotated[list[Noise], Field(min_length=1)]

    def __post_init__(self) -> None:
        self.active = any(step.active for step in self.steps)

    @override
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        for step in self.steps:
            x = step(x, generator, span)
        return x
