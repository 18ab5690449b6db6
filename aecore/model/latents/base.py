"""The base class of latents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Generator, Tensor

from aecore.errors import UserError
from aecore.model.codes import Code
from aecore.model.module import ComponentModule
from aecore.model.passes import Pass
from aecore.model.priors.base import Standalone
from aecore.model.priors.standard import Standard
from aecore.types import Shape


class Latent(ComponentModule, ABC, options=False):
    """Maps features to a code: the projection and, where the code is random, its distribution.

    Its state (the running means of a codebook, the usage of units) changes only in training mode
    with `sample`, as in a training step: then all processes of a distributed training take part
    and must compute the same state.

    layered: whether the code is computed by applying the modules of the latent in sequence.
    variational: whether the code has a posterior, so that a KL and an ELBO exist.
    gaussian: whether the posterior is a Gaussian with independent dimensions, which is N(0, I)
        when collapsed.
    relaxed: whether samples in training are continuous relaxations of samples of the posterior.
    pathwise: whether a posterior's `detached` density can be differentiated along a sample.
    sequential: whether the density of a code that the posterior did not sample needs a pass for
        each dimension, which is too slow for every code under every posterior.
    uneven: whether the independent parts of a code differ in width.
    codebook_size: number of entries (or categories) to choose from, None for continuous codes.
        `Code.indices` holds the chosen ones, from 0.
    shared_codebook: whether all positions of a code choose from the same entries.
    cost_names: of the costs of the latent itself, the keys of `Code.costs` and of `costs`.
    """

    variational: bool = False
    layered: bool = False
    gaussian: bool = False
    relaxed: bool = False
    pathwise: bool = False
    sequential: bool = False
    uneven: bool = False
    codebook_size: int | None = None
    shared_codebook: bool = True
    cost_names: tuple[str, ...] = ()

    @property
    def smooth(self) -> bool:
        """Whether the mean code is a continuous function of the image."""
        return self.codebook_size is None or self.variational

    @abstractmethod
    def attach(self, feature_shape: Shape) -> Shape:
        """Create the projection for features of that shape (without N); returns the code's shape.

        Raises UserError if this latent does not support such features.
        """

    @abstractmethod
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        """(N, *feature_shape) -> Code; z is a sample if `sample`, else the mean.

        With `generator` None, PyTorch's default generator is used.
        """

    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        """Costs that need the decoder, each (N,), by name; the others are `Code.costs`."""
        return {}

    def nearest(self, z: Tensor) -> Tensor:
        """The possible codes of this latent that are nearest to points (N, *code_shape)."""
        return z

    def decode_indices(self, indices: Tensor) -> Tensor:
        """The codes (N, *code_shape) of these codebook entries, see `Code.indices`."""
        raise TypeError(f"{type(self).__name__} has no codebook")

    def check(self) -> None:
        """Raise UserError for a codebook without `decode_indices`."""
        if self.codebook_size is not None and type(self).decode_indices is Latent.decode_indices:
            raise UserError(
                f"latent={type(self).__name__}: has a `codebook_size` but no `decode_indices`",
                "define decode_indices(indices): the codes of these codebook entries",
            )

    def standard_prior(self) -> Standalone:
        """The standard prior of such codes: N(0, I) unless they are bounded."""
        return Standard()

    def set_epoch(self, epoch: float) -> None:
        """Set the number of (fractional) epochs of training so far; infinity after training."""
        return None


def need_map(feature_shape: Shape, name: str, instead: str) -> tuple[int, int]:
    """(H, W) of features (channels, H, W); UserError for others. name, instead: of the latents."""
    if len(feature_shape) != 3:
        raise UserError(
            f"latent={name}: this network's features are no map (channels, H, W)",
            f"use network=conv, or latent={instead}",
        )
    return feature_shape[1], feature_shape[2]
