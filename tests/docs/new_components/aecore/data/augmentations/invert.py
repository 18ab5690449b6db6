"""Negatives."""

from __future__ import annotations

from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import Probability
from aecore.data.augmentations.base import Augmentation, draw_uniform


class Invert(Augmentation):
    """1 - x with probability p for each image."""

    p: Probability

    @override
    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        chosen = draw_uniform(x, generator) < self.p
        return (1 - x).where(chosen[:, None, None, None], x)
