"""Matches the distribution of all codes to the prior, by a critic."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from aecore.model.critics import fake_loss, frozen, real_loss
from aecore.model.passes import Pass
from aecore.model.penalties.code_adversary import CodeAdversary


class AdversarialPenalty(CodeAdversary):
    """-log D(z) in nats, with D(z) a critic's probability that z is a sample of the prior.

    Makhzani et al. 2016 (AAE), and the WAE-GAN of Tolstikhin et al. 2018, alg. 1; for codes
    with or without a posterior. If codes are distributed as the prior it is log 2.

    units, layers: of the critic, fully connected.
    """

    matches_prior = True

    @override
    def forward(self, p: Pass) -> Tensor:
        return real_loss(frozen(self.critic, p.code.z))

    @override
    def critic_loss(self, p: Pass) -> Tensor:
        with torch.no_grad():
            z = p.code.z
            both = torch.cat([p.model.prior_density.sample(z.shape, z, p.generator), z])
        real, fake = self.critic(both).chunk(2)
        return 0.5 * (real_loss(real) + fake_loss(fake))
