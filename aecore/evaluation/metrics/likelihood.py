"""The likelihood of test images, estimated by importance sampling."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import posterior_of
from aecore.model.networks.base import flat
from aecore.model.objectives.importance import importance_weights, log_density, repeated
from aecore.model.passes import EncoderPass, Inputs
from aecore.model.priors.base import PriorDensity

_VALUES = 2**20  # decoded at once: as fast as any, on a CPU


class Likelihood(Metric):
    """`nll`: -log p(x) of test images in nats, the mean over images.

    Of each image, which is encoded once, log p(x) = log (1/K sum_k p(x | z_k) p(z_k) / q(z_k | x))
    with K = `samples` codes z_k from its posterior (Burda et al. 2016, the test log-likelihood of
    Rezende et al. 2014): in the mean a lower bound, so `nll` is too large rather than too small,
    and the less so the more samples.

    Of a class-conditional model it is log p(x | y) of the image's class y.

    `nll_standard_error`: the deviation over images over the root of their number. It covers which
    images were taken and the noise of their codes, not that bias, nor another training's model.
    `elbo_gap`: how much lower the ELBO of the same draws is than -`nll`, at least 0: about
    KL(q(z | x) || p(z | x)), by which the encoder's posterior is wrong.

    samples: K. images: how many, drawn by the seed; None for all. Pixels that the reconstruction
    draws (`targets=stochastic`) are drawn once an image. Memory does not depend on either number.
    """

    reports: ClassVar = {
        "nll": Reported(False, "nats per image", depends_on=("reconstruction",)),
        "nll_standard_error": Reported(None, "nats per image"),
        "elbo_gap": Reported(None, "nats per image"),
    }

    samples: PositiveInt
    images: PositiveInt | None

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError where an image has no likelihood."""
        model, generator = trial.model, trial.generator()
        check(model)
        rows = max(_VALUES // flat(model.image_shape), 1)
        prior, estimates = model.prior_density, []
        for x, y, target in trial.at_most(self.images).pairs(min(trial.batch_size, rows)):
            given = None if target is x else target
            seen = model.encoder_pass(Inputs(x, generator, False, y, given))
            if not model.reconstruction.covers(seen.x):
                raise SkippedError(
                    "grey pixels have no probability under Bernoulli draws, "
                    "use reconstruction.bernoulli.targets=stochastic or dataset.binarise"
                )
            estimates.append(log_likelihood(model, prior, seen, generator, self.samples, rows))
        log_p, elbo = (torch.cat(parts) for parts in zip(*estimates, strict=True))
        values = {"nll": -float(log_p.mean())}
        if len(log_p) > 1:
            values["nll_standard_error"] = math.sqrt(float(log_p.var()) / len(log_p))
        return {**values, "elbo_gap": float((log_p - elbo).mean())}


def check(model: Autoencoder) -> None:
    """Raise SkippedError where codes of an image cannot be drawn and weighed."""
    if not model.latent.variational:
        raise SkippedError("the code has no posterior to draw from, as latent=gaussian has one")
    if not model.has_likelihood:
        raise SkippedError("this reconstruction is no likelihood")
    if model.needs_context:
        raise SkippedError("the decoder also needs the places of the maxima, so there is no p(x)")


def log_likelihood(
    model: Autoencoder,
    prior: PriorDensity,
    seen: EncoderPass,
    generator: Generator,
    samples: int,
    rows: int,
) -> tuple[Tensor, Tensor]:
    """`log` p(x) and the ELBO of n images from the same draws, each (n,) float64 on the CPU.

    prior: the model's. rows: how many codes are decoded at once, at least n.
    """
    n = len(seen.x)
    at_once = min(max(rows // n, 1), samples)
    x, h, *context = (repeated(part, at_once) for part in (seen.x, seen.h, *seen.context))
    log_sum = torch.full((n,), -math.inf, dtype=torch.float64)
    total = torch.zeros(n, dtype=torch.float64)
    for done in range(0, samples, at_once):
        count = n * min(at_once, samples - done)
        code = model.latent(h[:count], generator, True)
        log_q = log_density(posterior_of(code), code.z)
        contexts = tuple(part[:count] for part in context)
        log_w = importance_weights(model, prior, x[:count], code.z, log_q, contexts).log_weight
        log_w = log_w.view(-1, n).cpu().double()
        log_sum = torch.logaddexp(log_sum, log_w.logsumexp(0))
        total += log_w.sum(0)
    return log_sum - math.log(samples), total / samples
