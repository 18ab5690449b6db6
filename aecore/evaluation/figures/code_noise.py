"""Noise in the code and in the pixels, with distances to the training images."""

from __future__ import annotations

from typing import Annotated

from matplotlib.figure import Figure
from pydantic import Field

from aecore.config.component import PositiveFloat, PositiveInt
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.metrics.manifold import nearest, noisy_images
from aecore.evaluation.trial import Trial, need_images, need_no_targets


class CodeNoise(TrialFigure):
    """Test images with increasing noise, in three rows each.

    'in the code': decoded codes with Gaussian noise added. 'in the pixels': the image with
    Gaussian noise of the same strength added. 'reconstructed': the reconstruction of that.

    Below each image is the distance to the nearest training image: Euclidean, over all pixels
    of the image as shown, in [0, 1].

    strengths: standard deviations of the noise, absolute in the code as in the pixels.
    images: test images, a block each.
    """

    strengths: Annotated[list[PositiveFloat], Field(min_length=1)]
    images: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables, and for images with targets."""
        need_images(trial)
        need_no_targets(trial)
        chosen = trial.balanced(self.images)
        levels = noisy_images(chosen, [0.0, *self.strengths])
        # levels (S, N, ...) -> for each image its three rows
        rows = [level[:, n] for n in range(len(chosen)) for level in levels]
        return image_grid(
            rows,
            title="Noise, and the distance to the nearest training image",
            labels=["in the code", "in the pixels", "reconstructed"] * len(chosen),
            heads=["none", *(f"{strength:g}" for strength in self.strengths)],
            captions=[[f"{d:.2f}" for d in nearest(row.clamp(0, 1), trial)] for row in rows],
            gaps=range(2, len(rows), 3),
        )
