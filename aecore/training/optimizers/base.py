"""What every optimizer promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from aecore.model.autoencoder import Autoencoder


class Optimizer(ABC):
    """A way to find weights: a `Gradient` descends step by step, a `ClosedForm` solves at once."""

    @abstractmethod
    def check(self, model: Autoencoder, images: int) -> None:
        """Raise UserError unless it can find the weights of such a model from so many images."""
