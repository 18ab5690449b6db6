"""The base class of optimizers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from aecore.config.component import Component
from aecore.model.autoencoder import Autoencoder


class Optimizer(Component, ABC, options=False):
    """Finds the weights of a model: a `GradientDescent` by steps, a `ClosedForm` exactly."""

    @abstractmethod
    def check(self, model: Autoencoder, images: int) -> None:
        """Raise UserError if the model or the number of images is not supported."""
