"""Penalties whose critic looks at codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aecore.critics import Adversary, code_critic
from aecore.networks.base import flat
from aecore.penalties.base import Penalty
from aecore.words import LearningRate, PositiveInt, word

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder


class CodeAdversary(Adversary, Penalty):
    """A penalty with a fully connected critic of codes.

    units, layers: of the critic.
    """

    @word
    def __init__(self, *, units: PositiveInt, layers: PositiveInt, critic_lr: LearningRate) -> None:
        super().__init__()
        self.units, self.layers = units, layers
        self.critic_lr = critic_lr

    def oppose(self, model: Autoencoder) -> None:
        self.critic = code_critic(flat(model.code_shape), self.units, self.layers)
