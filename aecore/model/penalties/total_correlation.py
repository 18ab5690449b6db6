"""The penalty of the beta-TCVAE: the KL in three parts with separate weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import NonNegativeFloat
from aecore.errors import UserError
from aecore.model.codes import Code, Posterior, at_least_float32
from aecore.model.passes import Model, Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.checks import need_parts, need_posterior
from aecore.model.penalties.kl import check_single_kl
from aecore.model.priors.base import PriorDensity

_VALUES = 2**24  # densities at once


class TotalCorrelation(Penalty):
    """alpha * I(z; n) + beta * TC(z) + gamma * sum_j KL(q(z_j) || p(z_j)), nats per image.

    Chen et al. 2018, eq. 2 and 4: over the N images to train on, with q(z) = 1/N sum_n q(z | n),
    the mean KL to the prior is the mutual information of image and code, plus the total
    correlation KL(q(z) || prod_j q(z_j)), plus the KL of each dimension to its prior. The
    densities are estimated from the batch (`densities`), so a single image's cost may be negative.

    alpha = beta = gamma = 1 is the KL, estimated. It replaces `kl`; with a `kl` of weight 1,
    alpha = gamma = 0 changes the weight of the total correlation only. The last part is a sum only
    for a prior with p(z) = prod_j p(z_j), as the standard one; for a learned prior the last two
    parts are not separable from KL(q(z) || p(z)).
    """

    alpha: NonNegativeFloat
    beta: NonNegativeFloat
    gamma: NonNegativeFloat

    def __post_init__(self) -> None:
        self.images: int | None = None

    @property
    def holds_prior(self) -> bool:  # type: ignore[override]
        """True unless only the total correlation has a weight."""
        return self.alpha > 0 or self.gamma > 0

    @override
    def attach(self, images: int, epochs: int) -> None:
        self.images = images

    @override
    def forward(self, p: Pass) -> Tensor:
        assert self.images is not None, "attach() comes first"
        information, correlation, dimensions = split_kl(p.code, p.model.prior_density, self.images)
        return self.alpha * information + self.beta * correlation + self.gamma * dimensions

    @override
    def check(self, model: Model) -> None:
        need_posterior(model, "total_correlation")
        if model.latent.relaxed:
            raise UserError(
                "penalty=total_correlation: in training this latent samples relaxations, which "
                "have no densities under its posterior",
                "use latent=gaussian, or penalty=kl",
            )
        need_parts(model, "total_correlation")
        if model.latent.sequential:
            raise UserError(
                "penalty=total_correlation: this latent's posteriors have no independent "
                "dimensions",
                "use latent=gaussian, or penalty=kl",
            )
        if self.holds_prior and not model.prior.factorised:
            raise UserError(
                "penalty=total_correlation: it splits the KL by dimensions, which are dependent "
                "under a learned prior",
                "use prior=standard, or 'penalty=[kl,total_correlation]' with\n  "
                "penalty.total_correlation.alpha=0 penalty.total_correlation.gamma=0",
            )
        if self.holds_prior:
            check_single_kl(
                self, model, "total_correlation",
                "or penalty.total_correlation.alpha=0 penalty.total_correlation.gamma=0, "
                "which add beta times the TC to it",
            )  # fmt: skip


def split_kl(code: Code, prior: PriorDensity, images: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mutual information, total correlation, dimension-wise KL at each sampled code, each (N,).

    Their sum is log q(z | x) - log p(z). images: number of images that the batch was drawn from.
    """
    log_q, joint, marginal = densities(code, images)
    product, log_p = marginal.sum(1), prior.log_prob(at_least_float32(code.z).flatten(1)).sum(1)
    return log_q - joint, joint - product, product - log_p


def densities(code: Code, images: int) -> tuple[Tensor, Tensor, Tensor]:
    """`log` q(z | x) (N,), log q(z) (N,), log q(z_j) (N, parts) at the sampled codes of a batch.

    z_j are the independent parts of the posterior, as a Gaussian's dimensions. q(z) is the
    mixture over `images` images of which the batch is drawn without replacement, by minibatch
    stratified sampling (Chen et al. 2018, appendix C.2): the image of the code has weight 1/N, as
    in the mixture, and the others share the rest equally, which is the paper's estimate averaged
    over the order of the batch; so exp of it is unbiased, and exact for the full batch. A batch
    larger than `images` (of another split) is treated as a full batch.
    """
    z, posterior = at_least_float32(code.z).flatten(1), code.posterior
    assert posterior is not None, "only variational latents have densities"
    joint, marginal = mixture(z, posterior, log_weights(len(z), images, z))
    return posterior.log_prob(z).sum(1), joint, marginal


def mixture(z: Tensor, posterior: Posterior, weights: Tensor) -> tuple[Tensor, Tensor]:
    """`log` sum_j w_ij q(z_i | x_j), (M,), and that of each independent part, (M, parts).

    z: (M, dim). posterior: of n images. weights: log w, (M, n).
    """
    rows = max(_VALUES // (weights.shape[1] * z.shape[1]), 1)
    joint, marginal = [], []
    for part, weight in zip(torch.split(z, rows), torch.split(weights, rows), strict=True):
        # (rows, n, parts): each code under the posterior of each image
        pairs = posterior.log_prob(part.unsqueeze(1))
        joint.append((pairs.sum(2) + weight).logsumexp(1))
        marginal.append((pairs + weight.unsqueeze(2)).logsumexp(1))
    return torch.cat(joint), torch.cat(marginal)


def log_weights(n: int, images: int, like: Tensor) -> Tensor:
    """Log weight of image j of a batch of n in the mixture at the code of image i, (n, n)."""
    images = max(images, n)
    if n == 1:
        return like.new_zeros(1, 1)
    others = math.log((images - 1) / (images * (n - 1)))
    return like.new_full((n, n), others).fill_diagonal_(-math.log(images))
