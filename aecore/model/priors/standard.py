"""The simplest prior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Generator, Tensor

from aecore.config.component import component
from aecore.model.priors.base import Closed, PriorComponent
from aecore.types import ImageShape, Shape

if TYPE_CHECKING:
    from aecore.model.latents.base import Latent


class Standard(Closed):
    """p(z) = N(0, I); of codes that are bounded, what is as simple there: uniform."""

    no_temperature = None

    @component
    def __init__(self) -> None:
        super().__init__()

    def attach(self, latent: Latent, code_shape: Shape, image_shape: ImageShape) -> PriorComponent:
        return latent.standard_prior()

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + math.log(2 * math.pi))

    def sample(
        self,
        n: int,
        shape: Shape,
        like: Tensor,
        generator: Generator | None,
        temperature: float = 1.0,
    ) -> Tensor:
        return temperature * like.new_empty((n, *shape)).normal_(generator=generator)
