"""Mirrored images."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torchvision.transforms.v2 import functional
from typing_extensions import override

from aecore.config.component import Probability
from aecore.data.augmentations.base import Augmentation, draw_uniform


class Flip(Augmentation):
    """Mirrored left to right with one probability, and upside down with another.

    horizontal: probability of left to right. vertical: of upside down.
    """

    horizontal: Probability
    vertical: Probability

    @override
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        for p, flip in (
            (self.horizontal, functional.horizontal_flip),
            (self.vertical, functional.vertical_flip),
        ):
            chosen = draw_uniform(x, generator) < p
            x = torch.where(chosen[:, None, None, None], flip(x), x)
        return x
