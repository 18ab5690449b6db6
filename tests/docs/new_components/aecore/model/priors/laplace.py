"""A prior with heavier tails."""

from __future__ import annotations

import math

from torch import Generator, Tensor
from typing_extensions import override

from aecore.model.priors.base import Standalone
from aecore.types import Shape


class LaplacePrior(Standalone):
    """p(z) = prod_j exp(-|z_j|) / 2, which prefers values near 0."""

    @override
    def log_prob(self, z: Tensor) -> Tensor:
        return -z.abs() - math.log(2)

    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        size = like.new_empty(shape).exponential_(generator=generator)
        return size * like.new_empty(shape).normal_(generator=generator).sign()
