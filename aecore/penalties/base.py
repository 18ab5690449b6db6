"""What every penalty promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from aecore.types import Pass

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder


class Penalty(nn.Module, ABC):
    """A cost of a pass, for each image; its weight and schedule live outside (`Weight`)."""

    @abstractmethod
    def forward(self, p: Pass) -> Tensor:
        """The unweighted cost, (N,), summed over what belongs to one image."""

    def check(self, model: Autoencoder) -> None:
        """Raise UserError where this penalty and the other words cannot go together."""
        return None
