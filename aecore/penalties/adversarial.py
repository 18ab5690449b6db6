"""Codes that are, all together, distributed as the prior: by a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aecore.critics import Adversary, code_critic, false, frozen, true
from aecore.networks.base import flat
from aecore.penalties.base import Penalty
from aecore.types import Pass
from aecore.words import PositiveFloat, PositiveInt, word

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder


class Adversarial(Adversary, Penalty):
    """-log D(z), where D is what a critic gives for z to be a draw of the prior, in nats.

    Makhzani et al. 2016 (AAE), and the WAE-GAN of Tolstikhin et al. 2018, alg. 1; of codes with
    or without a posterior. At the end, where codes and prior are one, it is log 2.

    units, layers: of the critic, fully connected.
    """

    matches_prior = True

    @word
    def __init__(
        self, *, units: PositiveInt, layers: PositiveInt, critic_lr: PositiveFloat
    ) -> None:
        super().__init__()
        self.units, self.layers = units, layers
        self.critic_lr = critic_lr

    def oppose(self, model: Autoencoder) -> None:
        self.critic = code_critic(flat(model.code_shape), self.units, self.layers)

    def forward(self, p: Pass) -> Tensor:
        return true(frozen(self.critic, p.code.z))

    def critic_loss(self, p: Pass) -> Tensor:
        with torch.no_grad():
            z = p.code.z
            drawn = p.model.prior.sample(len(z), p.model.code_shape, z, p.generator)
            both = torch.cat([drawn, z])
        real, fake = self.critic(both).chunk(2)
        return 0.5 * (true(real) + false(fake))
