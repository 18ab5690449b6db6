"""The evidence lower bound as the length of a code for the images."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Generator

from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.compression import pixel_bits
from aecore.evaluation.metrics.elbo import ELBO_STREAM, elbo_terms, has_elbo
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import flat


class Bits(Metric):
    """`bits_per_dim`: -ELBO / (D log 2) of the test images of D pixels, by the draws of `elbo`.

    That is for a probability of black and white pixels. A density is taken for the same over the
    width of a stored level, 1 / 256 of [0, 1] (1 / 2 where the test images hold only 0 and 1), so
    8 (or 1) are added, the bits of a stored pixel: a model that has learned nothing needs 8 bits.
    Nothing is drawn within the levels, so a density that narrows onto them falls below any real
    code, even below 0. Densities of a model's standardised range are converted to those on [0, 1].
    """

    reports: ClassVar = {"bits_per_dim": Reported(False, depends_on=("reconstruction",))}

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError where there is no ELBO, or none of these images."""
        model, generator = trial.model, trial.generator()
        if not has_elbo(model):
            raise SkippedError("this model has no ELBO: it takes a posterior and a likelihood")
        if trial.is_table:
            raise SkippedError("the values of a table have no levels")
        draws = Generator(device=trial.device).manual_seed(trial.seed + ELBO_STREAM)
        total = 0.0
        for x, y, target in trial.pairs():
            if not model.reconstruction.covers(
                model.reconstruction.target(model.normalise(target), generator)
            ):
                raise SkippedError(
                    "grey pixels have no probability under Bernoulli draws, "
                    "use reconstruction.bernoulli.targets=stochastic"
                )
            log_likelihood, kl = elbo_terms(model, x, draws, y, None if target is x else target)
            total += float((log_likelihood - kl).double().sum())
        nats = total / len(trial) - log_volume(model)
        bits = -nats / (flat(model.image_shape) * math.log(2))
        level = pixel_bits(trial.images.of_targets) if model.reconstruction.density else 0
        return {"bits_per_dim": bits + level}


def log_volume(model: Autoencoder) -> float:
    """The log of the volume that a unit of the model's range has in pixels, in nats.

    That is the sum of log scale.
    """
    return float(model.scale.cpu().double().log().expand(model.image_shape).sum())
