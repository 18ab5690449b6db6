"""The noise of the pixels that is equivalent to a weight of the KL."""

from __future__ import annotations

import math
from typing import ClassVar

from aecore.errors import SkippedError
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.principal import LARGEST, principal_components
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import flat


class EquivalentVariance(Metric):
    """`sigma2_equivalent`: the variance of the Gaussian VAE with the same optimum.

    With S the squared error summed over an image, the loss S / (2 v) + w KL is w times
    S / (2 v w) + KL: the negative ELBO, up to a constant, of a Gaussian likelihood of variance
    sigma^2 = v w. `mse` has v = 1/2, so sigma^2 = w / 2; `gaussian` has v = scale^2. (Where the
    error is a mean over D numbers it is w D / 2.) w is the final weight of `kl`; other penalties
    are ignored. In the model's range.

    `linear_active_units`: how many dimensions of the code a linear VAE of that variance would use,
    those of the training images' principal components whose variance is above it (Lucas et al.
    2019); few predict a collapse. A class-conditional model may use fewer, as the class explains
    part of the variance. Left out for codes that are not Gaussian, for images of more
    than 4096 pixels, and for images with targets.
    """

    reports: ClassVar = {"sigma2_equivalent": Reported(), "linear_active_units": Reported()}

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError unless the loss is a squared error and a `kl`."""
        model = trial.model
        variance = model.noise_variance
        if variance is None:
            raise SkippedError(
                "the reconstruction loss is no squared error, use reconstruction=mse or gaussian"
            )
        weights = kl_weights(model)
        if not weights:
            raise SkippedError("the loss has no KL, use penalty=kl")
        sigma2 = variance * sum(weights.values())
        paired = trial.images.targets is not None
        if paired or not model.latent.gaussian or flat(model.image_shape) > LARGEST:
            return {"sigma2_equivalent": sigma2}
        seen = (model.normalise(x) for x, _ in trial.on(trial.training).batches())
        used = int((principal_components(seen).variances > sigma2).sum())
        return {
            "sigma2_equivalent": sigma2,
            "linear_active_units": float(min(used, flat(model.code_shape))),
        }


def kl_weights(model: Autoencoder) -> dict[str, float]:
    """The final weight of each KL in the loss, by the name of its penalty."""
    kls = [name for name, penalty in model.penalties.items() if penalty.is_kl]
    return {name: model.weights[name].at(math.inf) for name in kls}
