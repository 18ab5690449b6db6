"""The standard prior."""

from __future__ import annotations

import math

from torch import Generator, Tensor
from typing_extensions import override

from aecore.model.passes import Model
from aecore.model.priors.base import Closed, Prior
from aecore.types import Shape


class Standard(Closed):
    """p(z) = N(0, I); for bounded codes the uniform distribution."""

    no_temperature = None

    @override
    def attach(self, model: Model) -> Prior:
        return model.latent.standard_prior()

    @override
    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + math.log(2 * math.pi))

    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        return temperature * like.new_empty(shape).normal_(generator=generator)
