"""Uniform priors for bounded codes."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.model.priors.base import Closed
from aecore.types import Shape


class UniformCategories(Closed):
    """Independent uniform one-hot variables, (N, variables * categories)."""

    no_temperature = "this prior is uniform over categories"

    def __init__(self, variables: int, categories: int) -> None:
        super().__init__()
        self.variables, self.categories = variables, categories

    def log_prob(self, z: Tensor) -> Tensor:
        """Log probability of each variable in nats, (N, variables)."""
        return z.new_full((*z.shape[:-1], self.variables), -math.log(self.categories))

    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        places = (shape[0], self.variables)
        chosen = torch.randint(self.categories, places, generator=generator, device=like.device)
        return F.one_hot(chosen, self.categories).to(like).view(shape)


class UniformSphere(Closed):
    """Uniform on the sphere of radius sqrt(dim) in `dim` dimensions."""

    no_temperature = "this prior is uniform over directions"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density on the sphere in nats, of all dimensions jointly, (N, 1)."""
        return z.new_full((*z.shape[:-1], 1), -log_area(self.dim, radius(self.dim)))

    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        directions = F.normalize(like.new_empty(shape).normal_(generator=generator), dim=1)
        return radius(self.dim) * directions


def radius(dim: int) -> float:
    """Radius sqrt(dim), for which the mean squared coordinate of a point is 1."""
    return math.sqrt(dim)


def log_area(dim: int, r: float) -> float:
    """`log` of the area of the sphere of radius r in `dim` dimensions.

    2 pi^(dim/2) / Gamma(dim/2) r^(dim - 1).
    """
    unit = math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)
    return unit + (dim - 1) * math.log(r)
