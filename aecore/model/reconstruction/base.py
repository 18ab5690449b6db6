"""The base class of reconstruction losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Generator, Tensor

from aecore.model.module import ModelPart
from aecore.model.passes import Pass


class Reconstruction(ModelPart, ABC, options=False):
    """The cost of the decoder's raw output, and its conversion to an image.

    name: its option in conf/reconstruction; "" for external classes.
    likelihood: whether the cost is -log p(x | z) up to a constant, so that there is an ELBO.
    density: whether p(x | z) is a density, else a probability.
    cost_names: the keys of `costs`.
    """

    name: str = ""
    likelihood: bool = True
    density: bool = True
    cost_names: tuple[str, ...] = ()

    @property
    def variance(self) -> float | None:
        """`v` if the cost is the squared error / (2 v) plus a constant, else None."""
        return None

    @abstractmethod
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Cost of each image, (N,), summed over channels and pixels; both (N, C, H, W)."""

    def log_constant(self, pixels: int) -> float:
        """`c` such that log p(x | z) = c - cost, in nats per image of `pixels` values.

        0 if the cost leaves out no constant, and if it is not a likelihood.
        """
        return 0.0

    def between(self, image: Tensor, x: Tensor) -> Tensor:
        """Cost of each image in the model's range, as of `image(output)`, (N,)."""
        cost: Tensor = self(image, x)
        return cost

    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        """Further costs with a weight of 1, each (N,), by name."""
        return {}

    def image(self, output: Tensor) -> Tensor:
        """The mean image in the model's range, (N, C, H, W)."""
        return output

    def target(self, x: Tensor, generator: Generator | None) -> Tensor:
        """The target of the loss (binarised, ...), (N, C, H, W)."""
        return x

    def expected(self, x: Tensor) -> Tensor:
        """The deterministic `target`, which is encoded outside of training, (N, C, H, W)."""
        return x

    def covers(self, x: Tensor) -> bool:
        """Whether p(x | z) is defined for targets (N, C, H, W)."""
        return True
