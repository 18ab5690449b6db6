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


class GradientDescent(Optimizer, options=False):
    """An optimizer before it has parameters; supports any model.

    begins_with_zeros: whether what it keeps of a parameter is zeros before the first gradient.
    """

    begins_with_zeros: bool = True

    @override
    def check(self, model: Autoencoder, images: int) -> None:
        return None

    @abstractmethod
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The torch optimizer of parameters, or of parameter groups."""


class _Fused(GradientDescent, options=False):
    """An optimizer of torch with its arguments, in the fused kernel: one call for all weights."""

    kind: type[torch.optim.Optimizer]
    arguments: dict[str, Any]

    @override
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        return self.kind(parameters, **self.arguments, fused=True)  # type: ignore[call-arg]


class Adam(_Fused):
    """Kingma & Ba 2015."""

    kind: type[torch.optim.Optimizer] = torch.optim.Adam

    @component
    def __init__(
        self, *, lr: LearningRate, betas: Betas, eps: PositiveFloat, weight_decay: NonNegativeFloat
    ) -> None:
        both = (betas[0], betas[1])
        self.arguments = {"lr": lr, "betas": both, "eps": eps, "weight_decay": weight_decay}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind = torch.optim.AdamW


class SGD(_Fused):
    """Stochastic gradient descent with momentum."""

    kind = torch.optim.SGD

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
        self.arguments = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
        self.arguments["weight_decay"] = weight_decay
