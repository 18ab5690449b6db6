"""Optimizers: thin wrappers of torch.optim with validated arguments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch.nn import Parameter
from typing_extensions import override

from aecore.config.component import LearningRate, NonNegativeFloat, PositiveFloat
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
    """An optimizer of torch in its fused kernel, one call for all weights; fields: arguments."""

    kind: ClassVar[type[torch.optim.Optimizer]]

    @override
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        arguments = with_tuples({field.name: getattr(self, field.name) for field in fields(self)})
        return self.kind(parameters, **arguments, fused=True)  # type: ignore[call-arg]


def with_tuples(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with tuples for lists, as torch.optim has its own."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}


class Adam(_Fused):
    """Kingma & Ba 2015."""

    kind: ClassVar[type[torch.optim.Optimizer]] = torch.optim.Adam
    lr: LearningRate
    betas: Betas
    eps: PositiveFloat
    weight_decay: NonNegativeFloat


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind = torch.optim.AdamW


class SGD(_Fused):
    """Stochastic gradient descent with momentum."""

    kind = torch.optim.SGD
    lr: LearningRate
    momentum: NonNegativeFloat
    nesterov: bool
    weight_decay: NonNegativeFloat

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ConfigError("optimizer.nesterov", True, "needs a momentum above 0")
