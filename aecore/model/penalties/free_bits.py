"""A KL with a minimum per dimension."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from aecore.config.component import NonNegativeFloat
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty, per_image
from aecore.model.penalties.checks import need_posterior
from aecore.model.penalties.kl import check_single_kl


class FreeBits(Penalty):
    """sum_j max(nats, KL_j) with the batch's mean KL of each dimension, against their collapse.

    Kingma et al. 2016 (inverse autoregressive flow), free bits, with a group per dimension (the
    parts of the KL; a learned prior has only one) and `nats` their lambda. A dimension below it has
    no gradient.
    """

    holds_prior = True

    nats: NonNegativeFloat

    @override
    def forward(self, p: Pass) -> Tensor:
        return per_image(p.model.prior_density.kl(p.code).mean(0).clamp_min(self.nats).sum(), p)

    @override
    def check(self, model: Model) -> None:
        need_posterior(model, "free_bits")
        check_single_kl(self, model, "free_bits")
