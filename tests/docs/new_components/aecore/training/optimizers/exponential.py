"""An exponential schedule."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler
from typing_extensions import override

from aecore.training.optimizers.schedulers import Schedule


class Exponential(Schedule):
    """Times `factor` after each epoch."""

    factor: Annotated[float, Field(gt=0, lt=1)]

    @override
    def __call__(self, optimizer: Optimizer, max_epochs: int) -> LRScheduler:
        return ExponentialLR(optimizer, self.factor)
