"""From gradients to steps of the optimizer: accumulation, warm-up, clipping, loss scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.amp import GradScaler


@dataclass(frozen=True)
class Descent:
    """How the gradients of mini-batches become steps of the optimizer.

    accumulate: mini-batches to a step of the optimizer, whose gradient is the mean over all their
        images; the last group of an epoch may be smaller.
    clip: largest norm of the gradient of each parameter group, or None.
    warmup: epochs in which the learning rate grows linearly (Goyal et al. 2017, section 2.2), so
        that of W steps of the optimizer the t-th has t / W of it. The schedule begins with the
        epoch in which the warm-up ends, or after it where it ends with the epoch.
    """

    accumulate: int = 1
    clip: float | None = None
    warmup: float = 0

    @property
    def warm_epochs(self) -> int:
        """Epochs before those of the schedule."""
        return math.floor(self.warmup)

    def updates(self, batches: int) -> int:
        """Steps of the optimizer in an epoch of so many mini-batches."""
        return -(-batches // self.accumulate)

    def set_rates(
        self, optimizer: torch.optim.Optimizer, rates: Sequence[float], step: int, batches: int
    ) -> None:
        """Set the learning rates of a step within the warm-up; those after it stay as they are.

        rates: of the parameter groups, at the end of it. step: mini-batches before the last one.
        batches: mini-batches in an epoch.
        """
        if self.warmup == 0:
            return
        epoch, within = divmod(step, batches)
        an_epoch = self.updates(batches)
        number = epoch * an_epoch + within // self.accumulate + 1
        last = math.ceil(round(self.warmup * an_epoch, 6))
        if number <= last:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * (number / last)

    def step(self, optimizer: torch.optim.Optimizer, scaler: GradScaler | None) -> None:
        """Make a step with the gradients that are there.

        scaler: of a loss whose gradients would vanish in float16 (Micikevicius et al. 2018), which
            leaves out a step where gradients are not finite; None for a loss that is not scaled.
        """
        if self.clip is not None:
            if scaler is not None:
                scaler.unscale_(optimizer)
            for group in optimizer.param_groups:  # a critic's gradient is not the model's
                torch.nn.utils.clip_grad_norm_(group["params"], self.clip)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
