"""Codes on a sphere: the power spherical distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.model.codes import Code, at_least_float32
from aecore.model.latents.base import Latent
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.model.priors.uniform import UniformSphere, log_area, radius
from aecore.types import Shape

_LEAST = 1e-30


@dataclass(frozen=True, slots=True)
class PowerSpherical:
    """q(z | x) ~ (1 + direction . z / r)^concentration on the sphere of radius r = sqrt(dim).

    De Cao & Aziz 2020, whose sphere has radius 1. (1 + direction . z / r) / 2 is a Beta(alpha,
    beta) variable, with beta = (dim - 1) / 2 and alpha = beta + concentration.

    direction: (N, dim), of length 1. concentration: (N, 1), 0 for the uniform distribution.
    """

    direction: Tensor
    concentration: Tensor

    @property
    def _radius(self) -> float:
        return radius(self.direction.shape[-1])

    def _shape(self) -> tuple[Tensor, float]:
        """`alpha` (N, 1) in float64, as differences of large log gammas are taken, and beta."""
        beta = (self.direction.shape[-1] - 1) / 2
        wide = torch.float32 if self.concentration.device.type == "mps" else torch.float64
        return self.concentration.to(wide) + beta, beta

    def _height(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of direction . z / r, each (N, 1)."""
        alpha, beta = self._shape()
        total = alpha + beta
        variance = 4 * alpha * beta / (total.square() * (total + 1))
        return ((alpha - beta) / total).to(self.direction), variance.to(self.direction)

    @property
    def mean(self) -> Tensor:
        """The mean, inside of the sphere, (N, dim)."""
        return self._radius * self._height()[0] * self.direction

    @property
    def variance(self) -> Tensor:
        """Of each dimension, (N, dim); it differs along and across the direction."""
        height, along = self._height()
        across = (1 - along - height.square()) / (self.direction.shape[-1] - 1)
        square = self.direction.square()
        return self._radius**2 * (along * square + across * (1 - square))

    def sample(self, generator: Generator | None) -> Tensor:
        """A reparametrised sample, (N, dim)."""
        alpha, beta = self._shape()
        # a Beta variable from two gamma variables, whose gradients PyTorch knows
        a = torch._standard_gamma(alpha, generator=generator).clamp_min(_LEAST)
        b = torch._standard_gamma(torch.full_like(alpha, beta), generator=generator)
        b = b.clamp_min(_LEAST)
        height = ((a - b) / (a + b)).to(self.direction)
        width = (2 * (a * b).sqrt() / (a + b)).to(self.direction)
        around = torch.empty_like(self.direction[:, 1:]).normal_(generator=generator)
        upright = torch.cat([height, width * F.normalize(around, dim=1)], 1)
        # reflected so that the first axis coincides with the direction (Householder)
        first = torch.zeros_like(self.direction)
        first[:, 0] = 1
        across = F.normalize(first - self.direction, dim=1)
        return self._radius * (upright - 2 * (upright * across).sum(1, keepdim=True) * across)

    def _log_normaliser(self) -> Tensor:
        """Log integral of (1 + direction . z)^concentration over the unit sphere, (N, 1)."""
        alpha, beta = self._shape()
        gammas = torch.lgamma(alpha) - torch.lgamma(alpha + beta)
        return (alpha + beta) * math.log(2) + beta * math.log(math.pi) + gammas

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density on the sphere, of all dimensions jointly, in nats, (N, 1).

        (M, 1, dim) codes give (M, N, 1).
        """
        height = (z * self.direction).sum(-1, keepdim=True) / self._radius
        wider = (self.direction.shape[-1] - 1) * math.log(self._radius)
        log_height = torch.log1p(height.clamp_min(-1 + 1e-7))
        return self.concentration * log_height - self._log_normaliser().to(height) - wider

    def kl_standard(self) -> Tensor:
        """KL(q || uniform on the sphere), of all dimensions jointly, in nats, (N, 1)."""
        alpha, beta = self._shape()
        expected = math.log(2) + torch.digamma(alpha) - torch.digamma(alpha + beta)
        uniform = -log_area(self.direction.shape[-1], 1)
        kl = (alpha - beta) * expected - self._log_normaliser() - uniform
        return kl.to(self.direction)

    def detached(self) -> PowerSpherical:
        """The same distribution with detached parameters."""
        return PowerSpherical(self.direction.detach(), self.concentration.detach())


class Hypersphere(Latent):
    """z on a sphere in `dim` dimensions, around a direction (Davidson et al. 2018).

    The distribution is power spherical instead of von Mises-Fisher, so that sampling needs no
    rejection. The radius is sqrt(dim), so that values of z have the scale of standard normal ones.
    The mean code is the direction. The concentration is 1 + dim * softplus(W h + b): at dim the
    mean is halfway between the centre and the sphere; below 1 a posterior that has collapsed to the
    prior would have almost no gradient.
    """

    variational = True
    pathwise = True

    dim: Annotated[int, Field(ge=2)]

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), self.dim + 1))
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        raw = at_least_float32(self.project(h))
        towards = raw[:, :-1]
        nowhere = (towards == 0).all(1, keepdim=True)  # features of zeros, say: any will do
        direction = F.normalize(torch.where(nowhere, 1.0, towards), dim=1)
        posterior = PowerSpherical(direction, 1 + self.dim * F.softplus(raw[:, -1:]))
        mode = radius(self.dim) * direction
        return Code(posterior.sample(generator) if sample else mode, mode, posterior)

    @override
    def nearest(self, z: Tensor) -> Tensor:
        return radius(self.dim) * F.normalize(z, dim=-1)

    @override
    def standard_prior(self) -> UniformSphere:
        return UniformSphere(self.dim)
