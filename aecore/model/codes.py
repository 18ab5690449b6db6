"""Codes and posteriors: what a latent makes of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor


class Posterior(Protocol):
    """q(z | x), one distribution an image.

    Densities and KLs come in `parts` that are independent: the dimensions of a Gaussian, the
    variables of a categorical code; the single one of a code that has none.
    """

    @property
    def mean(self) -> Tensor:
        """(N, dim)."""

    @property
    def variance(self) -> Tensor:
        """Of each dimension, (N, dim)."""

    def sample(self, generator: Generator | None) -> Tensor:
        """A reparametrised draw, (N, dim)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each part in nats, (N, parts).

        (M, 1, dim) codes give (M, N, parts): each under the posterior of each image.
        """

    def kl_standard(self) -> Tensor | None:
        """KL(q || p) of each part in nats, (N, parts); p is the latent's standard prior.

        None where there is no closed form.
        """


@runtime_checkable
class Pathwise(Posterior, Protocol):
    """A posterior whose density can be followed along a code: those of a `pathwise` latent."""

    def detached(self) -> Posterior:
        """The same, its parameters held fixed: a density that is a function of z alone."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a latent makes of the features.

    z: (N, *code_shape), what the decoder sees: a draw in training, the mean in evaluation.
    mean: (N, *code_shape), the same without randomness.
    posterior: q(z | x) of a variational latent, else None.
    costs: what the latent itself charges (a codebook's commitment), each (N,), per image.
    context: what passes by the code: the places of pooled maxima, then the classes (N,) of a
        conditional model; empty for most. All of it comes image by image.
    indices: (N, ...) int64, which code words z is made of, from 0; None where it has none.
    """

    z: Tensor
    mean: Tensor
    posterior: Posterior | None = None
    costs: Mapping[str, Tensor] = field(default_factory=dict)
    context: tuple[Tensor, ...] = ()
    indices: Tensor | None = None


def posterior_of(code: Code) -> Posterior:
    """q(z | x) of the code of a variational latent."""
    assert code.posterior is not None, "only variational latents have a posterior"
    return code.posterior
