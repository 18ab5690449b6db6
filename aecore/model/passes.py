"""The records of a pass through an autoencoder: Batch -> Code -> Pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from torch import Generator, Tensor

if TYPE_CHECKING:
    from aecore.model.autoencoder import Autoencoder


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


class Seen(NamedTuple):
    """What an encoder has seen, and what it made of it; the fields are those of Pass and Code.

    x, x_in: (N, C, H, W). h: (N, *feature_shape). context: what passes by the code.
    """

    x: Tensor
    x_in: Tensor
    h: Tensor
    context: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """One trip of a batch through an autoencoder, all that an objective or a penalty may look at.

    x: (N, C, H, W) clean, in the model's own range (standardised where it standardises).
    x_in: (N, C, H, W) what the encoder saw: x plus noise.
    h: (N, *feature_shape) the encoder's features.
    code: the latent's answer.
    output: (N, C, H, W) the decoder's raw output, in the terms of the reconstruction (logits, ...).
    model: the autoencoder that made the trip; for penalties that encode or decode again.
    generator: the source of further randomness; None means PyTorch's own.
    y: (N,) int64 class labels, or None.
    """

    x: Tensor
    x_in: Tensor
    h: Tensor
    code: Code
    output: Tensor
    model: Autoencoder
    generator: Generator | None = None
    y: Tensor | None = None
