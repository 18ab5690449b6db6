"""The error that the best linear code of the same size makes."""

from __future__ import annotations

from typing import ClassVar

from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.metrics.principal import need_few, principal_components
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial, need_no_targets
from aecore.model.networks.base import flat


class PcaError(Metric):
    """`pca_mse`: the error per pixel of the test images under PCA of the same latent dimension.

    PCA is fitted on the training images, with as many components as the code has dimensions.
    On their training images no linear autoencoder of that size has a smaller error (Baldi and
    Hornik 1989). It measures data and size of the code, not the model; a class-conditional one
    may have a smaller error.
    """

    reports: ClassVar = {"pca_mse": Reported()}  # it measures the data, not the model

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for very large images, and for images with targets."""
        need_no_targets(trial)
        pixels = flat(trial.model.image_shape)
        need_few(pixels)
        components = principal_components(x for x, _ in trial.on(trial.training).batches())
        leading = components.directions[:, : min(flat(trial.model.code_shape), components.rank)]
        total = 0.0
        for x, _ in trial.batches():
            rows = x.flatten(1).cpu().double() - components.mean
            total += float((rows - rows @ leading @ leading.T).square().sum())
        return {"pca_mse": total / (len(trial) * pixels)}
