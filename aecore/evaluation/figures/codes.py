"""Codes as small images."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from aecore.config.component import NonNegativeFloat, PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.heat import arranged, centred, enlarged
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.selection import first_of_each_class
from aecore.evaluation.trial import Trial


class Codes(TrialFigure):
    """Test images above their codes as small images, all on one colour scale.

    A vector is laid out row by row, nearly square; of a spatial code each channel is a map.
    The title gives the share of the codes of all test images that is active, |z| > threshold,
    and the mean of |z|.

    columns: images side by side.
    """

    columns: PositiveInt
    threshold: NonNegativeFloat

    def __call__(self, trial: Trial) -> Figure:
        """Draw; the images of a table are left out. Raises SkippedError for huge codes."""
        codes = trial.codes().float()
        if codes.shape[1] > 96 * 96:
            raise SkippedError(
                f"a code of {codes.shape[1]} dimensions is too large for a small image"
            )
        chosen = first_of_each_class(trial.images.labels, len(trial), self.columns)
        shown = codes[chosen].reshape(-1, *trial.model.code_shape)
        scale = Scale.of(shown)
        coded = scale.colours(torch.stack([arranged(code) for code in shown]))
        if trial.is_table:
            rows, labels = [centred(coded)], ["code"]
        else:
            images = enlarged(trial.at(chosen).tensors()[0])
            side = max(images.shape[2:])
            rows, labels = [centred(images, side), centred(coded, side)], ["input", "code"]
        active = float((codes.abs() > self.threshold).float().mean())
        title = (
            f"Codes of {codes.shape[1]} dimensions: {100 * active:.1f} % active "
            f"(|z| > {self.threshold:g}), mean |z| {codes.abs().mean():.3g}"
        )
        return image_grid(rows, title=title, labels=labels, scale=scale)
