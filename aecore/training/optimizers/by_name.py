"""Any optimizer of torch.optim, by the name of its class."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from aecore.config.component import LearningRate
from aecore.errors import ConfigError, nearest
from aecore.model.autoencoder import Autoencoder
from aecore.training.optimizers.gradient import GradientDescent, Parameters, with_tuples

_OURS = ("self", "params", "lr")  # arguments that are no options


class Torch(GradientDescent):
    """A class of torch.optim with its arguments.

    It runs in the implementation that torch chooses; those of `Adam`, `AdamW` and `SGD` are faster.

    name: of the class. options: its keyword arguments beside the learning rate.
    Raises ConfigError for an optimizer that cannot train here, and for options that it refuses.
    """

    begins_with_zeros = False
    name: str
    lr: LearningRate
    options: dict[str, Any]

    def __post_init__(self) -> None:
        classes: dict[str, Any] = {
            name: kind
            for name, kind in vars(torch.optim).items()
            if inspect.isclass(kind) and kind is not torch.optim.Optimizer
        }
        if self.name not in classes:
            usable = [name for name in sorted(classes) if _obstacle(classes[name]) is None]
            same = [name for name in usable if name.lower() == self.name.lower()]
            near = f" (did you mean {same[0]!r}?)" if same else nearest(self.name, usable)
            problem = f"no class of torch.optim{near}"
            raise ConfigError("optimizer.name", self.name, problem, f"known: {', '.join(usable)}")
        self._kind = classes[self.name]
        if (obstacle := _obstacle(self._kind)) is not None:
            raise ConfigError("optimizer.name", self.name, obstacle, {"optimizer": "adam"})
        known = sorted(inspect.signature(self._kind).parameters.keys() - {*_OURS})
        for key in self.options:
            if key not in known:
                other = "it is optimizer.lr" if key == "lr" else f"known: {', '.join(known)}"
                problem = f"{self.name} has no such option{nearest(key, known)}"
                raise ConfigError(f"optimizer.options.{key}", self.options[key], problem, other)
        self._try([nn.Parameter(torch.zeros(2, 2))])

    @override
    def check(self, model: Autoencoder, images: int) -> None:
        """Raise ConfigError where it does not take the shapes of the parameters."""
        self._try([nn.Parameter(torch.empty(p.shape, device="cpu")) for p in model.parameters()], 0)

    def _try(self, parameters: list[nn.Parameter], steps: int = 1) -> None:
        """Raise ConfigError where it cannot be made, or make a step, with these options."""
        try:
            optimizer = self(parameters)
            for parameter in parameters[:steps]:
                parameter.grad = torch.zeros_like(parameter)
                optimizer.step()
        except Exception as error:  # of any kind, for values of wrong types
            key, value = "optimizer.options", self.options or self.name
            key = key if self.options else "optimizer.name"
            problem = f"{self.name} refuses: {' '.join(str(error).split())}"
            raise ConfigError(key, value, problem) from error

    @override
    def __call__(self, parameters: Parameters) -> torch.optim.Optimizer:
        options = with_tuples(self.options)
        built: torch.optim.Optimizer = self._kind(parameters, lr=self.lr, **options)
        return built


def _obstacle(kind: type[torch.optim.Optimizer]) -> str | None:
    """Why an optimizer cannot train an autoencoder here, None where it can."""
    closure = inspect.signature(kind.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        return "its step needs the loss of the same images several times, for a line search"
    if kind is torch.optim.SparseAdam:
        return "it takes sparse gradients only, and those of an autoencoder are dense"
    return None
