"""Learning rate schedules: thin wrappers of torch.optim.lr_scheduler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau, StepLR
from typing_extensions import override

from aecore.config.component import Component, NonNegativeFloat, NonNegativeInt, PositiveInt

Factor = Annotated[float, Field(gt=0, lt=1)]


class Schedule(Component, ABC, options=False):
    """A schedule before it has an optimizer; stepped once per epoch, with `val/loss`."""

    @abstractmethod
    def __call__(self, optimizer: Optimizer, max_epochs: int) -> LRScheduler | None:
        """The torch scheduler, None for a constant rate."""


def step_schedule(scheduler: Any, loss: float | None) -> None:
    """Step the torch scheduler at the end of an epoch of that validation loss; None has no step."""
    if isinstance(scheduler, ReduceLROnPlateau):
        assert loss is not None, "`check_monitor` refuses it without validation images"
        scheduler.step(loss)
    elif scheduler is not None:
        scheduler.step()


class Constant(Schedule):
    """A constant learning rate."""

    @override
    def __call__(self, optimizer: Optimizer, max_epochs: int) -> None:
        return None


class Step(Schedule):
    """Times `factor` every `epochs` epochs."""

    epochs: PositiveInt
    factor: Factor

    @override
    def __call__(self, optimizer: Optimizer, max_epochs: int) -> LRScheduler:
        return StepLR(optimizer, self.epochs, self.factor)


class Cosine(Schedule):
    """A half cosine from the learning rate down to `final` (Loshchilov & Hutter 2017)."""

    final: NonNegativeFloat

    @override
    def __call__(self, optimizer: Optimizer, max_epochs: int) -> LRScheduler:
        return CosineAnnealingLR(optimizer, max_epochs, self.final)


class Plateau(Schedule):
    """Times `factor` where the validation loss has not fallen for `patience` epochs."""

    patience: NonNegativeInt
    factor: Factor

    @override
    def __call__(self, optimizer: Optimizer, max_epochs: int) -> LRScheduler:
        # a relative threshold, torch's default, takes the wrong side of a negative loss
        return ReduceLROnPlateau(
            optimizer, patience=self.patience, factor=self.factor, threshold=0, threshold_mode="abs"
        )
