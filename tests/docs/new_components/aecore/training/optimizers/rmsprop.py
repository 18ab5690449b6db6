"""RMSprop."""

from __future__ import annotations

import torch
from typing_extensions import override

from aecore.config.component import LearningRate
from aecore.training.optimizers.gradient import GradientDescent, Parameters


class RMSprop(GradientDescent):
    """Steps divided by a running mean of the gradient's size (Tieleman & Hinton 2012)."""

    lr: LearningRate

    @override
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=self.lr)
