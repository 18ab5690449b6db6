"""The mean reconstruction."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from aecore.config.component import PositiveInt
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.trial import Trial, need_images


class MeanImage(TrialFigure):
    """The mean of the reconstructions of some test images.

    images: how many.
    """

    images: PositiveInt

    @torch.no_grad()
    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables."""
        need_images(trial)
        x, y = trial.first(self.images).tensors()
        figure = Figure()
        figure.subplots().imshow(trial.model.reconstruct(x, y).mean((0, 1)).cpu())
        return figure
