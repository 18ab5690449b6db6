"""A KL with a target capacity in nats (annealed VAE)."""

from __future__ import annotations

import math

from torch import Tensor
from typing_extensions import override

from aecore.config.component import NonNegativeFloat
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty, per_image
from aecore.model.penalties.checks import need_posterior
from aecore.model.penalties.kl import check_single_kl


class Capacity(Penalty):
    """|KL - C| in nats, of the batch's mean KL to the prior; the weight is the paper's gamma.

    Burgess et al. 2018. C grows linearly from 0 to `nats` over `epochs`, then is constant; None for
    all epochs of the training.
    """

    holds_prior = True

    nats: NonNegativeFloat
    epochs: NonNegativeFloat | None

    def __post_init__(self) -> None:
        self.epoch = math.inf

    @override
    def attach(self, images: int, epochs: int) -> None:
        self.epochs = epochs if self.epochs is None else self.epochs

    @override
    def set_epoch(self, epoch: float) -> None:
        self.epoch = epoch

    def target(self) -> float:
        """C after the epochs so far; the full capacity unless `set_epoch` is called."""
        return self.nats * (min(1.0, self.epoch / self.epochs) if self.epochs else 1.0)

    @override
    def forward(self, p: Pass) -> Tensor:
        kl = p.model.prior_density.kl(p.code).sum(1).mean()
        return per_image((kl - self.target()).abs(), p)

    @override
    def check(self, model: Model) -> None:
        need_posterior(model, "capacity")
        check_single_kl(self, model, "capacity")
