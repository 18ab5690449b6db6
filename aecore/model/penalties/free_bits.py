"""A KL whose first nats are free."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from aecore.config.component import NonNegativeFloat, component
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty, shared
from aecore.model.penalties.checks import need_posterior
from aecore.model.penalties.kl import stand_for_kl


class FreeBits(Penalty):
    """sum_j max(nats, KL_j) of the batch's mean KL of each dimension: no dimension need collapse.

    Kingma et al. 2016 (inverse autoregressive flow), free bits, with a group for each dimension
    (each part of the KL, which a learned prior has only one of) and `nats` their lambda. Below it a
    dimension has no gradient.
    """

    holds_prior = True

    @component
    def __init__(self, *, nats: NonNegativeFloat) -> None:
        super().__init__()
        self.nats = nats

    @override
    def forward(self, p: Pass) -> Tensor:
        return shared(p.model.prior_density.kl(p.code).mean(0).clamp_min(self.nats).sum(), p)

    @override
    def check(self, model: Model) -> None:
        need_posterior(model, "free_bits")
        stand_for_kl(self, model, "free_bits")
