"""Units that learned nothing."""

from __future__ import annotations

from aecore.config.component import component
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.model.layers import by_batch, dead_units


class DeadKernels(Metric):
    """`dead_kernels`: how many units of the first layer never change over all test images.

    Filters of a convolution, or rows of a matrix (of a `linear` network that of the latent); what
    is dead is said at `dead_units`.
    """

    @component
    def __init__(self) -> None: ...

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Applies to every model."""
        first = (
            layers[0].output
            for x, y in subject.labelled(subject.test)
            for layers in by_batch(subject.model, x, y)
        )
        return {"dead_kernels": float(dead_units(first).sum())}
