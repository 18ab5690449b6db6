"""The penalty of the DIP-VAE: codes that are uncorrelated over the images."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from typing_extensions import override

from aecore.config.component import NonNegativeFloat
from aecore.errors import UserError
from aecore.model.codes import at_least_float32
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty, per_image, without_autocast


class DIP(Penalty):
    """sum_{i != j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2 of a covariance C over the batch.

    Kumar et al. 2018, eq. 6 and 7, in addition to `kl`; the weight is their lambda_od,
    `diagonal` their lambda_d / lambda_od.

    kind: 'i': C = Cov(mean(z)), of any latent; 'ii': C = Cov(E[z | x]) + E[diag Var(z | x)], the
    covariance of the sampled codes, of latents whose posteriors have independent dimensions.
    """

    kind: Literal["i", "ii"]
    diagonal: NonNegativeFloat

    @override
    def forward(self, p: Pass) -> Tensor:
        if self.kind == "i":
            spread = covariance(p.code.mean.flatten(1))
        else:
            assert p.code.posterior is not None, "check() comes first"
            spread = covariance(p.code.posterior.mean)
            spread = spread + at_least_float32(p.code.posterior.variance).mean(0).diag()
        variances = spread.diagonal()
        between = spread.square().sum() - variances.square().sum()
        return per_image(between + self.diagonal * (variances - 1).square().sum(), p)

    @override
    def check(self, model: Model) -> None:
        if self.kind == "ii" and not model.latent.gaussian:
            raise UserError(
                "penalty.dip.kind=ii: this latent has no posterior of independent dimensions, "
                "whose variances it needs",
                "use penalty.dip.kind=i, or latent=gaussian",
            )


def covariance(codes: Tensor) -> Tensor:
    """The unbiased covariance over (N, dim), (dim, dim); zeros for N = 1."""
    codes = at_least_float32(codes)
    centred = codes - codes.mean(0)
    with without_autocast(codes):
        return centred.T @ centred / max(len(codes) - 1, 1)
