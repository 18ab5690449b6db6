"""What every latent promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor, nn

from aecore.types import Code, Shape


class Latent(nn.Module, ABC):
    """Turns features into a code; owns the projection between them and its own randomness.

    variational: whether the code has a posterior, so that a KL and an ELBO exist.
    """

    variational: bool = False

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
