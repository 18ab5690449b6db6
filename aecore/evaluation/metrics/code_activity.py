"""How active a code is."""

from __future__ import annotations

from aecore.config.component import NonNegativeFloat, component
from aecore.evaluation.metrics.base import Metric, Subject


class CodeActivity(Metric):
    """`active_fraction`: the share of the numbers of all test images' mean codes with |z| >
    `threshold`; `mean_activation`: the mean of their |z|.
    """

    @component
    def __init__(self, *, threshold: NonNegativeFloat) -> None:
        self.threshold = threshold

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Applies to every model."""
        active = size = 0
        total = 0.0
        for x, y in subject.labelled(subject.test):
            values = subject.model.encode(x, y=y).mean.abs()
            active += int((values > self.threshold).sum())
            total += float(values.double().sum())
            size += values.numel()
        return {"active_fraction": active / size, "mean_activation": total / size}
