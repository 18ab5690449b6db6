"""The base class of noises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor

from aecore.config.component import Component

Span = tuple[Tensor, Tensor]  # black and white in the model's range, each (C, 1, 1) or (1, 1, D)


class Noise(Component, ABC, options=False):
    """A random change of the input, in the model's range.

    active: whether it changes the input.
    """

    active: bool = True

    @abstractmethod
    def __call__(self, x: Tensor, generator: Generator | None, span: Span) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); never in place, all randomness from `generator`."""
