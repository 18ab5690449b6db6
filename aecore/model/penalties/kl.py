"""The KL of the variational autoencoder."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from aecore.errors import UserError
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.checks import need_posterior


class KL(Penalty):
    """KL(q(z | x) || p(z)) in nats per image; weight 1 gives the ELBO, others a beta-VAE.

    Kingma & Welling 2014, eq. 3; Higgins et al. 2017 for the weight.
    """

    is_kl = True
    holds_prior = True

    @override
    def forward(self, p: Pass) -> Tensor:
        return p.model.prior_density.kl(p.code).sum(1)

    @override
    def check(self, model: Model) -> None:
        need_posterior(model, "kl")


def check_single_kl(penalty: Penalty, model: Model, name: str, alternative: str = "") -> None:
    """Raise UserError if there is another KL penalty in addition to one that replaces it.

    alternative: another hint in addition to using the penalty alone.
    """
    for other, one in model.penalties.items():
        if one is not penalty and one.holds_prior:
            raise UserError(
                f"penalty={name} with penalty.{other}: both contain the KL and would count twice",
                f"use penalty={name} alone{alternative and ', '}{alternative}",
            )
