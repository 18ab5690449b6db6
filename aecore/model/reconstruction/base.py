"""What every reconstruction promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Generator, Tensor, nn

from aecore.model.passes import Model

if TYPE_CHECKING:
    from aecore.model.passes import Pass


class Reconstruction(nn.Module, ABC):
    """The cost of a decoder's raw output, and what the output means as an image.

    name: the option of conf/reconstruction that builds it; "" for classes from elsewhere.
    likelihood: whether the cost is -log p(x | z) but for a constant, so that there is an ELBO.
    density: whether p(x | z) is a density of numbers, or else a probability.
    cost_names: the keys of `costs`.
    """

    name: str = ""
    likelihood: bool = True
    density: bool = True
    cost_names: tuple[str, ...] = ()

    @property
    def variance(self) -> float | None:
        """`v` where the cost is the squared error / (2 v) plus a constant; None for other costs."""
        return None

    @abstractmethod
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Cost of each image, (N,), summed over channels and pixels; both (N, C, H, W)."""

    @abstractmethod
    def log_constant(self, pixels: int) -> float:
        """`c` such that log p(x | z) = c - cost, in nats per image of `pixels` numbers.

        0 for a cost that is no likelihood.
        """

    def costs(self, p: Pass) -> Mapping[str, Tensor]:
        """What is charged beside `forward` and with a weight of 1, each (N,), by name."""
        return {}

    def image(self, output: Tensor) -> Tensor:
        """The mean image in the model's range, (N, C, H, W)."""
        return output

    def target(self, x: Tensor, generator: Generator | None) -> Tensor:
        """The data as this likelihood sees it (binarised, ...), (N, C, H, W)."""
        return x

    def expected(self, x: Tensor) -> Tensor:
        """`target` without its randomness: what is encoded outside of training, (N, C, H, W)."""
        return x

    def covers(self, x: Tensor) -> bool:
        """Whether p(x | z) is defined at data as `target` gives them, (N, C, H, W)."""
        return True

    def check(self, model: Model) -> None:
        """Raise UserError where this reconstruction and the other words cannot go together."""
        return None
