"""Words that own a critic: a network that is trained against the autoencoder, beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.func import functional_call

if TYPE_CHECKING:
    from aecore.types import Pass


class Adversary(ABC):
    """A penalty or a reconstruction with a critic, which one optimizer trains along with the rest.

    What the critic thinks enters the word's own cost through `frozen`, so that the cost moves the
    autoencoder alone; `critic_loss` moves the critic alone. The gradients of the two touch
    different weights, so one step of one optimizer is a step of each side.

    critic: its weights are no others'. critic_lr: its learning rate, where the optimizer starts.
    """

    critic: nn.Module
    critic_lr: float

    @abstractmethod
    def critic_loss(self, p: Pass) -> Tensor:
        """What the critic is to make small, (N,), of codes and images detached from the model."""


def frozen(module: nn.Module, *inputs: Tensor) -> Tensor:
    """What a module makes of inputs, a function of these alone: its weights get no gradient."""
    state = {name: p.detach() for name, p in module.named_parameters()}
    output: Tensor = functional_call(module, state, inputs)
    return output
