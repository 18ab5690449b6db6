"""What every prior promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Generator, Tensor, nn

from aecore.types import Code, Shape

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder
    from aecore.latents import Latent


class Prior(nn.Module, ABC):
    """p(z), of variational latents; densities come in the independent parts of their posteriors."""

    def attach(self, latent: Latent) -> Prior:
        """The prior of that latent's codes, as a rule itself."""
        return self

    def given(self, model: Autoencoder) -> Prior:
        """The prior as the model makes it now, where the model has a part in it; else itself."""
        return self

    @abstractmethod
    def kl(self, code: Code) -> Tensor:
        """KL(q(z | x) || p(z)) of each part in nats, (N, parts)."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each part in nats, (N, parts)."""

    @abstractmethod
    def sample(self, n: int, shape: Shape, like: Tensor, generator: Generator | None) -> Tensor:
        """n codes, (n, *shape), on the device and of the type of `like`."""
