"""How the posteriors use the code."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from aecore.config.component import NonNegativeFloat, PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.codes import at_least_float32, posterior_of
from aecore.model.objectives.importance import log_density
from aecore.model.penalties.total_correlation import mixture

_MOST_LISTED = 64  # parts of a code


class PosteriorUse(Metric):
    """Which dimensions of a variational code depend on the image, and the parts of its KL.

    `active_units`: how many dimensions have Var_x(E[z | x]) > `threshold` over the test images
    (Burda et al. 2016). `kl_dim/0`, `kl_dim/1`, ...: the mean KL of each independent part (a
    Gaussian's dimensions), in nats, of codes of 64 parts at most; `kl_min`, `kl_median`, `kl_max`
    of these. To a learned prior a code has one KL as a whole, which all three are.

    `kl_mutual_information` of image and code, `kl_total_correlation` and `kl_dimension_wise`, in
    nats: the mean KL to the prior over N test images in three parts (Hoffman & Johnson 2016; Chen
    et al. 2018, eq. 2), for q(z) = 1/N sum_n q(z | x_n), all of it, and one draw of the code an
    image. So the parts sum to the KL and the information is at least 0 but for the noise of these
    draws; it is at most log N, whatever the draws. Of a learned prior, which ties the dimensions
    together, there is `kl_marginal` instead of the third: KL(q(z) || p(z)). It may be smaller than
    the total correlation, since such a prior has a total correlation of its own.

    images: N, at most; time grows with its square. Those three are left out where a density takes a
        pass for each dimension.
    """

    reports: ClassVar = {"active_units": Reported(), "kl_*": Reported(None, "nats")}

    threshold: NonNegativeFloat
    images: PositiveInt

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for codes without a posterior."""
        model, generator = trial.model, trial.generator()
        if not model.latent.variational:
            raise SkippedError("the code has no posterior, as latent=gaussian has one")
        means, costs = [], []
        for x, y in trial.batches():
            code = model.encode(x, generator, y)
            means.append(posterior_of(code).mean.cpu().double())
            costs.append(model.prior_density.kl(code).cpu().double())
        spread = torch.cat(means).var(0, correction=0)
        kl = torch.cat(costs).mean(0)
        values = {
            "active_units": float((spread > self.threshold).sum()),
            "kl_min": float(kl.min()),
            "kl_median": float(kl.quantile(0.5)),
            "kl_max": float(kl.max()),
        }
        if 1 < len(kl) <= _MOST_LISTED:
            values |= {f"kl_dim/{n}": value for n, value in enumerate(kl.tolist())}
        if model.latent.sequential:
            return values
        some = trial.at_most(self.images)
        information, correlation, dimensions = decompose_kl(some, generator)
        values |= {
            "kl_mutual_information": float(information.mean()),
            "kl_total_correlation": float(correlation.mean()),
        }
        if model.prior.factorised:
            return values | {"kl_dimension_wise": float(dimensions.mean())}
        return values | {"kl_marginal": float((correlation + dimensions).mean())}


def decompose_kl(trial: Trial, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The three parts of log q(z | x) - log p(z) at a draw for each image, (N,) float64, CPU.

    q(z) is the mixture over the images.
    """
    model = trial.model
    codes = [model.encode(x, generator, y) for x, y in trial.batches()]
    z = torch.cat([at_least_float32(code.z).flatten(1) for code in codes])
    log_q = torch.cat([log_density(posterior_of(c), c.z) for c in codes])
    sums = []
    for code in codes:
        even = z.new_zeros(len(z), len(code.z))
        sums.append([part.cpu().double() for part in mixture(z, posterior_of(code), even)])
    joint, marginal = (
        torch.stack(parts).logsumexp(0) - torch.tensor(len(z)).double().log()
        for parts in zip(*sums, strict=True)
    )
    product, prior = marginal.sum(1), model.prior_density.log_prob(z).sum(1).cpu().double()
    return log_q.cpu().double() - joint, joint - product, product - prior
