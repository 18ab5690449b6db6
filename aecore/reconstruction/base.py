"""What every reconstruction promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Generator, Tensor, nn

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder


class Reconstruction(nn.Module, ABC):
    """The cost of a decoder's raw output, and what the output means as an image.

    likelihood: whether the cost is -log p(x | z) but for a constant, so that there is an ELBO.
    """

    likelihood: bool = True

    @abstractmethod
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Cost of each image, (N,), summed over channels and pixels; both (N, C, H, W)."""

    @abstractmethod
    def log_constant(self, pixels: int) -> float:
        """c such that log p(x | z) = c - cost, in nats per image of `pixels` numbers.

        0 for a cost that is no likelihood.
        """

    def image(self, output: Tensor) -> Tensor:
        """The mean image in the model's range, (N, C, H, W)."""
        return output

    def target(self, x: Tensor, generator: Generator | None) -> Tensor:
        """The data as this likelihood sees it (binarised, ...), (N, C, H, W)."""
        return x

    def expected(self, x: Tensor) -> Tensor:
        """`target` without its randomness: what is encoded outside of training, (N, C, H, W)."""
        return x

    def check(self, model: Autoencoder) -> None:
        """Raise UserError where this reconstruction and the other words cannot go together."""
        return None
