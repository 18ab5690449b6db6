"""The base class of penalties with a critic of codes."""

from __future__ import annotations

from typing_extensions import override

from aecore.config.component import LearningRate, PositiveInt
from aecore.model.critics import Adversary, code_critic
from aecore.model.networks.base import flat
from aecore.model.passes import Model
from aecore.model.penalties.base import Penalty


class CodeAdversary(Adversary, Penalty):
    """A penalty with a fully connected critic of codes.

    units, layers: of the critic.
    """

    units: PositiveInt
    layers: PositiveInt
    critic_lr: LearningRate

    @override
    def connect(self, model: Model) -> None:
        self.critic = code_critic(flat(model.code_shape), self.units, self.layers)
