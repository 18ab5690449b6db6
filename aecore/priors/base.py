"""What every prior promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor, nn

from aecore.types import Code, Shape


class Prior(nn.Module, ABC):
    """p(z), of variational latents."""

    @abstractmethod
    def kl(self, code: Code) -> Tensor:
        """KL(q(z | x) || p(z)) of each dimension in nats, (N, dim)."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each dimension in nats, (N, dim)."""

    @abstractmethod
    def sample(self, n: int, shape: Shape, like: Tensor, generator: Generator | None) -> Tensor:
        """n codes, (n, *shape), on the device and of the type of `like`."""
