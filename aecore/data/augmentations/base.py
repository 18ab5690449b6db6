"""The base class of augmentations, and the augmentation of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Generator, Tensor

from aecore.config.component import Component
from aecore.types import Batch, ImageShape

Padding = Literal["constant", "edge", "reflect"]  # outside an image: black, its border, its mirror


class Augmentation(Component, ABC, options=False):
    """A random change of pixels, before they are normalised and noise is added.

    interpolates: whether it computes values between those of the pixels.
    """

    interpolates: bool = False

    @abstractmethod
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W), never in place.

        One independent draw for each of the N images, which changes its C channels alike.

        generator: of all draws, on the device of x.
        """

    def check(self, shape: ImageShape) -> None:
        """Raise ConfigError if images of this shape, (C, H, W), cannot be changed so."""
        return None


@dataclass(frozen=True)
class Augment:
    """The augmentation of training batches by several changes, in their order.

    input_only: whether targets stay as they are; images without a target then have themselves,
        unchanged, as their target. Otherwise a target is changed by the draw of its image.
    """

    changes: Mapping[str, Augmentation]
    input_only: bool = False

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The batch with changed images; all draws are from the generator."""
        x, target = batch.x, batch.target
        if self.input_only:
            return replace(
                batch, x=self._changed(x, generator), target=x if target is None else target
            )
        if target is None:
            return replace(batch, x=self._changed(x, generator))
        # as further channels of the images, so that both have the same draw
        both = self._changed(torch.cat([x, target], 1), generator)
        x, target = torch.split(both, x.shape[1], 1)
        return replace(batch, x=x.contiguous(), target=target.contiguous())

    def _changed(self, x: Tensor, generator: Generator) -> Tensor:
        for change in self.changes.values():
            x = change(x, generator)
        return x


def draw_uniform(x: Tensor, generator: Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(N,) draws between low and high, one for each of the images x (N, ...)."""
    return x.new_empty(len(x)).uniform_(low, high, generator=generator)


def draw_integers(x: Tensor, generator: Generator, count: int) -> Tensor:
    """(N,) int64 draws from 0, ..., count - 1, one for each of the images x (N, ...)."""
    return torch.randint(count, (len(x),), generator=generator, device=x.device)


def windows(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """(N, C, height, width): of each image (N, C, H, W) the window with its own corner.

    top, left: row and column of the upper left corners, (N,) int64.
    """
    rows = top[:, None] + torch.arange(height, device=x.device)
    columns = left[:, None] + torch.arange(width, device=x.device)
    images = torch.arange(len(x), device=x.device)[:, None, None, None]
    channels = torch.arange(x.shape[1], device=x.device)[None, :, None, None]
    return x[images, channels, rows[:, None, :, None], columns[:, None, None, :]]
