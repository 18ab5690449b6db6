"""Samples of the autoencoder."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.selection import class_name
from aecore.evaluation.trial import Trial, need_images
from aecore.model.conditioning import need_labels


class Samples(TrialFigure):
    """A grid of draws from the model. rows, columns: its size.

    Of a class-conditional model each column is one of the first `columns` classes of the images.
    """

    rows: PositiveInt
    columns: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for a model that cannot be sampled, and for tables."""
        if not trial.model.can_sample:
            raise SkippedError("this model's codes cannot be sampled")
        need_images(trial)
        shown = self._classes(trial)
        columns = self.columns if shown is None else len(shown)
        y = None if shown is None else shown.repeat(self.rows)
        images = trial.model.sample(self.rows * columns, trial.generator(), y)
        return image_grid(
            torch.split(images, columns),
            title="Samples" if shown is None else "Samples by class",
            heads=() if shown is None else [class_name(trial.images, k) for k in shown.tolist()],
        )

    def _classes(self, trial: Trial) -> Tensor | None:
        """The labels of the samples of a class-conditional model, one per column."""
        if trial.model.classes is None:
            return None
        present: Tensor = torch.unique(need_labels(trial.images.labels).to(trial.device))
        return present[: self.columns]
