"""A Gaussian code transformed by a normalising flow."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.model.codes import Code, at_least_float32
from aecore.model.flows import Warp
from aecore.model.latents.base import Latent
from aecore.model.latents.gaussian import LOG_VAR_BOUND, DiagonalGaussian
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape

_PAIRS = 32


class WarpedGaussian:
    """q(z | x): z = f(u; context), u ~ N(mean, diag(exp(log_var))), with f a flow.

    base: the distribution of u, (N, dim). context: (N, features).

    Samples are stored with their densities, which need no further computation; the density of any
    other code needs the inverse of the flow, a pass for each dimension.
    """

    def __init__(self, base: DiagonalGaussian, context: Tensor, warp: Warp) -> None:
        self.base, self.context, self.warp = base, context, warp
        self._known: list[tuple[Tensor, Tensor]] = []

    @property
    def mean(self) -> Tensor:
        """f(mean of u), (N, dim): the mean of z if f is affine."""
        return self._warped(self.base.mean)

    @property
    def variance(self) -> Tensor:
        """Of each dimension, (N, dim), estimated from 64 fixed samples.

        They have exactly the mean and variance of u, so the estimate is exact if f is affine.
        """
        mean, spread = self.base.mean, (0.5 * self.base.log_var).exp()
        fixed = torch.randn(_PAIRS, 1, mean.shape[1], generator=Generator().manual_seed(0))
        fixed /= fixed.square().mean(0).sqrt()
        eps = torch.cat([fixed, -fixed]).to(mean)
        context = self.context.expand(len(eps), *self.context.shape)
        drawn: Tensor = self.warp(mean + spread * eps, context)[0]
        return drawn.var(0, correction=0)

    def sample(self, generator: Generator | None) -> Tensor:
        """f(mean + std * eps), (N, dim); Kingma et al. 2016, algorithm 1."""
        return self._warped(self.base.sample(generator))

    def _warped(self, u: Tensor) -> Tensor:
        z: Tensor
        z, log_det = self.warp(u, self.context)
        self._known.append((z, self._density(u, log_det)))
        return z

    def _density(self, u: Tensor, log_det: Tensor) -> Tensor:
        return self.base.log_prob(u).sum(-1, keepdim=True) - log_det.unsqueeze(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of all dimensions jointly, in nats, (N, 1).

        (M, 1, dim) codes give (M, N, 1).
        """
        for drawn, density in self._known:
            if drawn is z:
                return density
        if z.dim() > 2:
            z = z.expand(len(z), *self.base.mean.shape)
        context = self.context.expand(*z.shape[:-1], -1)
        u = self.warp.inverse(z, context)
        return self._density(u, self.warp(u, context)[1])

    def kl_standard(self) -> None:
        """There is no closed form."""
        return None


class FlowLatent(Latent):
    """z = f_T(... f_1(u)) with u a Gaussian and f inverse autoregressive flows (IAF).

    Kingma et al. 2016: z_i = exp(a_i) u_i + b_i, where a_i and b_i depend on u_1 ... u_(i-1) and
    on `context` further features of the image. Initially f is the identity, so the code starts as
    that of `gaussian`. The mean code is f(mean of u).

    dim: dimensions of z. transforms: T. hidden: units of the network of each f. context: features.
    """

    variational = True
    sequential = True

    dim: PositiveInt
    transforms: PositiveInt
    hidden: Annotated[list[PositiveInt], Field(min_length=1)]
    context: PositiveInt

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        width = 2 * self.dim + self.context
        self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), width))
        self.warp = Warp(
            "affine",
            self.dim,
            transforms=self.transforms,
            hidden=self.hidden,
            context=self.context,
        )
        return (self.dim,)

    @override
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        raw = at_least_float32(self.project(h))
        mean, spread, context = torch.split(raw, [self.dim, self.dim, self.context], 1)
        base = DiagonalGaussian(mean, LOG_VAR_BOUND * torch.tanh(spread / LOG_VAR_BOUND))
        posterior = WarpedGaussian(base, context, self.warp)
        image = posterior.mean
        return Code(posterior.sample(generator) if sample else image, image, posterior)
