"""The brightness of reconstructions."""

from __future__ import annotations

from aecore.config.component import PositiveInt
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.trial import Trial


class Brightness(Metric):
    """`brightness`: the mean pixel of reconstructions.

    images: how many.
    """

    images: PositiveInt

    def __call__(self, trial: Trial) -> dict[str, float]:
        """One value."""
        x, y = trial.first(self.images).tensors()
        return {"brightness": float(trial.model.reconstruct(x, y).mean())}
