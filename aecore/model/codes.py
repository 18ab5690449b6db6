"""Codes and posteriors: the outputs of a latent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor


class Posterior(Protocol):
    """q(z | x), one distribution per image.

    Densities and KLs are computed for independent `parts`: the dimensions of a Gaussian, the
    variables of a categorical code, or the whole code if its dimensions are dependent.
    """

    @property
    def mean(self) -> Tensor:
        """(N, dim)."""

    @property
    def variance(self) -> Tensor:
        """Of each dimension, (N, dim)."""

    def sample(self, generator: Generator | None) -> Tensor:
        """A reparametrised sample, (N, dim)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each part in nats, (N, parts).

        (M, 1, dim) codes give (M, N, parts): each under the posterior of each image.
        """

    def kl_standard(self) -> Tensor | None:
        """KL(q || p) of each part in nats, (N, parts); p is the latent's standard prior.

        None if there is no closed form.
        """


@runtime_checkable
class Pathwise(Posterior, Protocol):
    """The posterior of a `pathwise` latent: its density is differentiable along a sample."""

    def detached(self) -> Posterior:
        """The same distribution with detached parameters: its density depends on z only."""


@dataclass(frozen=True, slots=True)
class Code:
    """The output of a latent.

    z: (N, *code_shape), the input of the decoder: a sample in training, the mean in evaluation.
    mean: (N, *code_shape), the deterministic code.
    posterior: q(z | x) of a variational latent, else None.
    costs: of the latent itself (such as the commitment of a codebook), each (N,), per image.
    context: further inputs of the decoder: the positions of pooled maxima, then the classes (N,)
        of a conditional model; empty for most models. The first dimension is that of images.
    indices: (N, ...) int64, the codebook entries of z, from 0; None for continuous codes.
    raw: (N, ...) values before they become sparse, of which `Latent.costs` are made; or None.
    """

    z: Tensor
    mean: Tensor
    posterior: Posterior | None = None
    costs: Mapping[str, Tensor] = field(default_factory=dict)
    context: tuple[Tensor, ...] = ()
    indices: Tensor | None = None
    raw: Tensor | None = None


def posterior_of(code: Code) -> Posterior:
    """q(z | x) of the code of a variational latent."""
    assert code.posterior is not None, "only variational latents have a posterior"
    return code.posterior


def at_least_float32(x: Tensor) -> Tensor:
    """A tensor in at least single precision; under autocast it may have less."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
