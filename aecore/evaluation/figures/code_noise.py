"""Noise in the code against noise in the pixels: which stays among the images?"""

from __future__ import annotations

from typing import Annotated

import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from aecore.config.component import PositiveFloat, PositiveInt, component
from aecore.data.split import Split
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.view import Picture, View, need_images, spread
from aecore.evaluation.metrics.manifold import nearest, noisy_pictures


class CodeNoise(Picture):
    """A test image from which noise leads away, in three rows.

    'in the code': decoded codes with Gaussian noise added. 'in the pixels': the image with
    Gaussian noise of the same strength added. 'reconstructed': what the model makes of that.

    Where the view has training images, the distance to the nearest one stands under each picture:
    Euclidean, over all pixels of the picture as shown, in [0, 1].

    strengths: standard deviations of the noise, absolute in the code as in the pixels.
    images: test images, a block each.
    """

    sees_training = True

    @component
    def __init__(
        self,
        *,
        strengths: Annotated[list[PositiveFloat], Field(min_length=1)],
        images: PositiveInt,
    ) -> None:
        self.strengths = strengths
        self.images = images

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for tables."""
        need_images(view)
        chosen = spread(view.labels, len(view.images), self.images, view.generator())
        x, y = view.at(chosen)
        levels = [0.0, *self.strengths]
        coded, pixels, cleaned = noisy_pictures(view.model, x, levels, view.generator(), y)
        # levels (S, N, ...) -> for each image its three rows
        rows = [
            column for n in range(len(x)) for column in (coded[:, n], pixels[:, n], cleaned[:, n])
        ]
        captions: list[list[str]] = []
        about = ""
        if view.training is not None:
            captions = [_distances(row, view.training) for row in rows]
            about = ", and the distance to the nearest training image"
        return image_grid(
            rows,
            title=f"Noise{about}",
            labels=["in the code", "in the pixels", "reconstructed"] * len(x),
            heads=["none", *(f"{strength:g}" for strength in self.strengths)],
            captions=captions,
            gaps=range(2, len(rows), 3),
        )


def _distances(images: Tensor, training: Split) -> list[str]:
    return [f"{d:.2f}" for d in nearest(images.clamp(0, 1), training).tolist()]
