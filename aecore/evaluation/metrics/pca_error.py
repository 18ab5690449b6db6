"""The error that the best linear code of the same size makes."""

from __future__ import annotations

from aecore.config.component import component
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.evaluation.metrics.principal import need_few, principal
from aecore.model.networks.base import flat


class PcaError(Metric):
    """`pca_mse`: the error per pixel of the test images under PCA with as many components as the
    code has numbers, fitted on the training images.

    On their training images no linear autoencoder of that size has a smaller error (Baldi and
    Hornik 1989). It measures data and size of the code, not the model; one that is told the class
    besides may have a smaller error.
    """

    @component
    def __init__(self) -> None: ...

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable for very large images."""
        pixels = flat(subject.model.image_shape)
        need_few(pixels)
        found = principal(subject.batches(subject.training))
        kept = found.directions[:, : min(flat(subject.model.code_shape), found.rank)]
        total = 0.0
        for x in subject.batches(subject.test):
            rows = x.flatten(1).cpu().double() - found.mean
            total += float((rows - rows @ kept @ kept.T).square().sum())
        return {"pca_mse": total / (len(subject.test) * pixels)}
