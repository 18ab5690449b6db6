"""Optimizers: thin wrappers of torch.optim with validated arguments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch.nn import Parameter
from typing_extensions import override

from aecore.config.component import LearningRate, NonNegativeFloat, PositiveFloat, component
from aecore.errors import ConfigError
from aecore.model.autoencoder import Autoencoder
from aecore.training.optimizers.base import Optimizer

Parameters = Iterable[Parameter] | list[dict[str, Any]]
Betas = Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)]


class GradientDescent(Optimizer):
    """An optimizer before it has parameters; supports any model."""

    @override
    def check(self, model: Autoencoder, images: int) -> None:
        return None

    @abstractmethod
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The torch optimizer of parameters, or of parameter groups."""


class _Adaptive(GradientDescent):
    """What Adam and AdamW share: the arguments, and torch's fused kernel, one call for all."""

    kind: type[torch.optim.Adam]

    @component
    def __init__(
        self, *, lr: LearningRate, betas: Betas, eps: PositiveFloat, weight_decay: NonNegativeFloat
    ) -> None:
        self.lr, self.betas, self.eps = lr, (betas[0], betas[1]), eps
        self.weight_decay = weight_decay

    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        return self.kind(parameters, self.lr, self.betas, self.eps, self.weight_decay, fused=True)


class Adam(_Adaptive):
    """Kingma & Ba 2015."""

    kind = torch.optim.Adam


class AdamW(_Adaptive):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind = torch.optim.AdamW


class SGD(GradientDescent):
    """Stochastic gradient descent with momentum."""

    @component
    def __init__(
        self,
        *,
        lr: LearningRate,
        momentum: NonNegativeFloat,
        nesterov: bool,
        weight_decay: NonNegativeFloat,
    ) -> None:
        if nesterov and momentum == 0:
            raise ConfigError("optimizer.nesterov", True, "needs a momentum above 0")
        self.lr, self.momentum, self.nesterov = lr, momentum, nesterov
        self.weight_decay = weight_decay

    @override
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            self.lr,
            self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            fused=True,
        )
