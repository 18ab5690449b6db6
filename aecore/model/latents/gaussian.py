"""The codes of variational autoencoders: Gaussians with a diagonal covariance for each image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.base import Latent
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape

LOG_VAR_BOUND = 10.0  # standard deviations from exp(-5) to exp(5)


@dataclass(frozen=True, slots=True)
class DiagonalGaussian:
    """q(z | x) = N(mean, diag(exp(log_var))); both (N, dim)."""

    mean: Tensor
    log_var: Tensor

    @property
    def variance(self) -> Tensor:
        """exp(log_var), (N, dim)."""
        return self.log_var.exp()

    def sample(self, generator: Generator | None) -> Tensor:
        """`mean` + std * eps (Kingma & Welling 2014, eq. 10), (N, dim)."""
        eps = torch.empty_like(self.mean).normal_(generator=generator)
        return torch.addcmul(self.mean, (0.5 * self.log_var).exp(), eps)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each dimension in nats, (N, dim)."""
        square = (z - self.mean).square() * (-self.log_var).exp()
        return -0.5 * (square + self.log_var + math.log(2 * math.pi))

    def kl_standard(self) -> Tensor:
        """KL(q || N(0, I)) of each dimension in nats, (N, dim); Kingma & Welling 2014, app. B."""
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var)

    def detached(self) -> DiagonalGaussian:
        """The same distribution with detached parameters."""
        return DiagonalGaussian(self.mean.detach(), self.log_var.detach())


class GaussianLatent(Latent):
    """z ~ N(mean(h), diag(exp(log_var(h)))), with `dim` dimensions.

    The log-variance is smoothly bounded to +-LOG_VAR_BOUND to avoid overflow.
    """

    variational = True
    gaussian = True
    pathwise = True

    dim: PositiveInt

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        # one matrix for both: one product per step instead of two
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), 2 * self.dim))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        mean, raw = at_least_float32(self.project(h)).chunk(2, dim=1)
        posterior = DiagonalGaussian(mean, LOG_VAR_BOUND * torch.tanh(raw / LOG_VAR_BOUND))
        z = posterior.sample(generator) if sample else mean
        return Code(z, mean, posterior)
