"""The evidence lower bound as the length of a code for the images."""

from __future__ import annotations

import math

from torch import Generator

from aecore.config.component import component
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.evaluation.metrics.compression import pixel_bits
from aecore.evaluation.metrics.evaluate import ELBO_STREAM, elbo_parts
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import flat


class Bits(Metric):
    """`bits_per_dim`: -ELBO / (D log 2) of the test images of D numbers, by the draws of `elbo`.

    That is for a probability of black and white pixels. A density is taken for the same over the
    width of a stored level, 1 / 256 of [0, 1] (1 / 2 where the test images hold only 0 and 1), so
    8 (or 1) are added, the bits of a stored pixel: what knows nothing needs 8 bits. Nothing is
    drawn within the levels, so a density that narrows onto them falls below any real code, even
    below 0. Densities of a model's standardised range are converted to those on [0, 1].
    """

    @component
    def __init__(self) -> None: ...

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable where there is no ELBO, or none of these images."""
        model, generator = subject.model, subject.generator()
        if not (model.latent.variational and model.reconstruction.likelihood):
            raise NotApplicable("this model has no ELBO: it takes a posterior and a likelihood")
        if subject.is_table:
            raise NotApplicable("the numbers of a table have no levels to be told apart")
        draws = Generator(device=model.shift.device).manual_seed(subject.seed + ELBO_STREAM)
        total = 0.0
        for x, y in subject.labelled(subject.test):
            if not model.reconstruction.covers(
                model.reconstruction.target(model.normalise(x), generator)
            ):
                raise NotApplicable(
                    "grey pixels have no probability under coin throws, "
                    "use reconstruction.bernoulli.targets=stochastic"
                )
            log_likelihood, kl = elbo_parts(model, x, draws, y)
            total += float((log_likelihood - kl).double().sum())
        nats = total / len(subject.test) - log_volume(model)
        bits = -nats / (flat(model.image_shape) * math.log(2))
        level = pixel_bits(subject.test) if model.reconstruction.density else 0
        return {"bits_per_dim": bits + level}


def log_volume(model: Autoencoder) -> float:
    """log of what a volume of the model's range is in pixels: the sum of log scale, in nats."""
    return float(model.scale.cpu().double().log().expand(model.image_shape).sum())
