"""What every latent promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor, nn

from aecore.errors import UserError
from aecore.model.codes import Code
from aecore.model.priors.base import Standalone
from aecore.model.priors.standard import Standard
from aecore.types import Shape


class Latent(nn.Module, ABC):
    """Turns features into a code; owns the projection between them and its own randomness.

    State of its own (a codebook's running means, who was used when) changes only where it is in
    training mode and asked to `sample`, as in a training step: then all ranks of a training over
    several processes are there and must come to the same.

    layered: whether the code is what its modules make of the features, one after another.
    variational: whether the code has a posterior, so that a KL and an ELBO exist.
    gaussian: whether that is a Gaussian whose dimensions are independent, N(0, I) where it is
        collapsed.
    relaxed: whether what is drawn in training only stands for draws of the posterior.
    pathwise: whether a posterior's `detached` density can be followed along a draw.
    sequential: whether the density of a code that the posterior did not draw takes a pass for each
        dimension: too long for every code under every posterior.
    codes: how many code words there are to choose from, None for codes of numbers. Then
        `Code.indices` tells which were chosen, numbered from 0, and `decode_indices` undoes it.
    shared_codes: whether all places of a code choose from the same words.
    cost_names: of what the latent itself charges, the keys of `Code.costs`.
    """

    variational: bool = False
    layered: bool = False
    gaussian: bool = False
    relaxed: bool = False
    pathwise: bool = False
    sequential: bool = False
    codes: int | None = None
    shared_codes: bool = True
    cost_names: tuple[str, ...] = ()

    @property
    def smooth(self) -> bool:
        """Whether a small change of the image moves its mean code: words stay or jump."""
        return self.codes is None or self.variational

    @abstractmethod
    def attach(self, feature_shape: Shape) -> Shape:
        """Create the projection for features of that shape (without N); returns the code's shape.

        Raises UserError where this latent cannot take such features.
        """

    @abstractmethod
    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        """(N, *feature_shape) -> Code; z is a draw where `sample`, else the mean.

        `generator` None draws from PyTorch's own.
        """

    def precise(self, x: Tensor) -> Tensor:
        """`x` in single precision at least: under autocast it may come in less."""
        return x.to(torch.promote_types(x.dtype, torch.float32))

    def nearest(self, z: Tensor) -> Tensor:
        """The codes nearest to any points (N, *code_shape) that this latent could have made."""
        return z

    def decode_indices(self, indices: Tensor) -> Tensor:
        """The codes (N, *code_shape) that are made of those code words, see `Code.indices`."""
        raise TypeError(f"{type(self).__name__} has no code words")

    def check(self) -> None:
        """Raise UserError where there are code words that nothing turns into codes again."""
        if self.codes is not None and type(self).decode_indices is Latent.decode_indices:
            raise UserError(
                f"latent={type(self).__name__}: has `codes` but no `decode_indices`",
                "define decode_indices(indices): the codes made of these code words",
            )

    def standard_prior(self) -> Standalone:
        """What the standard prior is to codes of this kind: N(0, I) unless they are bounded."""
        return Standard()

    def set_epoch(self, epoch: float) -> None:
        """Told before each loss how many (fractional) epochs lie behind; infinity at the end."""
        return None
