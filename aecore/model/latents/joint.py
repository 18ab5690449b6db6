"""Codes with a Gaussian and a categorical part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.codes import Code
from aecore.model.latents.categorical import Categorical, Categories, WithCategories
from aecore.model.latents.gaussian import DiagonalGaussian, GaussianLatent
from aecore.model.priors.base import Closed
from aecore.model.priors.standard import Standard
from aecore.model.priors.uniform import UniformCategories
from aecore.types import Shape


@dataclass(frozen=True, slots=True)
class JointPosterior:
    """q(z | x) of two independent parts; z holds the Gaussian one first, (N, dim)."""

    gaussian: DiagonalGaussian
    categories: Categories

    @property
    def mean(self) -> Tensor:
        """Means and probabilities, (N, dim)."""
        return torch.cat([self.gaussian.mean, self.categories.mean], 1)

    @property
    def variance(self) -> Tensor:
        """The variance of each value, (N, dim)."""
        return torch.cat([self.gaussian.variance, self.categories.variance], 1)

    def sample(self, generator: Generator | None) -> Tensor:
        """A reparametrised sample, the categories relaxed in training, (N, dim)."""
        return torch.cat([self.gaussian.sample(generator), self.categories.sample(generator)], 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each Gaussian dimension and of each variable in nats, (N, parts)."""
        split = self.gaussian.mean.shape[1]
        parts = self.gaussian.log_prob(z[..., :split]), self.categories.log_prob(z[..., split:])
        return torch.cat(parts, -1)

    def kl_standard(self) -> Tensor:
        """KL(q || p) of each part in nats, (N, parts)."""
        return torch.cat([self.gaussian.kl_standard(), self.categories.kl_standard()], -1)


class JointPrior(Closed):
    """N(0, I) for the first `dim` values, uniform categories for the others."""

    def __init__(self, dim: int, categories: UniformCategories) -> None:
        super().__init__()
        self.dim, self.categories = dim, categories

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each part in nats, (N, parts)."""
        normal = Standard().log_prob(z[..., : self.dim])
        return torch.cat([normal, self.categories.log_prob(z[..., self.dim :])], -1)

    @override
    def sample(
        self, shape: Shape, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        normal = like.new_empty((shape[0], self.dim)).normal_(generator=generator)
        rest = (shape[0], shape[1] - self.dim)
        return torch.cat([normal, self.categories.sample(rest, like, generator)], 1)


class Joint(WithCategories):
    """`dim` Gaussian dimensions, and `variables` categorical variables (Dupont 2018, JointVAE).

    The options of the categories are those of `latent=categorical`.
    """

    uneven = True

    dim: PositiveInt

    def __post_init__(self) -> None:
        self.gaussian_part = GaussianLatent(dim=self.dim)
        self.categorical_part = Categorical(
            variables=self.variables,
            categories=self.categories,
            temperature=self.temperature,
            temperature_end=self.temperature_end,
            epochs=self.epochs,
            hard=self.hard,
        )

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        parts = (self.gaussian_part, self.categorical_part)
        return (sum(part.attach(feature_shape)[0] for part in parts),)

    @override
    def set_epoch(self, epoch: float) -> None:
        self.categorical_part.set_epoch(epoch)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        first = self.gaussian_part(h, generator, sample)
        second = self.categorical_part(h, generator, sample)
        return Code(
            torch.cat([first.z, second.z], 1),
            torch.cat([first.mean, second.mean], 1),
            JointPosterior(first.posterior, second.posterior),
        )

    @override
    def nearest(self, z: Tensor) -> Tensor:
        dim = self.gaussian_part.dim
        return torch.cat([z[:, :dim], self.categorical_part.nearest(z[:, dim:])], 1)

    @override
    def standard_prior(self) -> JointPrior:
        return JointPrior(self.gaussian_part.dim, self.categorical_part.standard_prior())
