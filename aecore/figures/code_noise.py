"""Noise in the code against noise in the pixels: which stays among the images?"""

from __future__ import annotations

from typing import Annotated

import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from aecore.figures.grid import image_grid
from aecore.figures.view import Picture, View, need_images, spread
from aecore.types import Code
from aecore.words import PositiveFloat, PositiveInt, word


class CodeNoise(Picture):
    """A test image from which noise leads away, in three rows.

    'in the code': decoded codes with Gaussian noise added. 'in the pixels': the image with
    Gaussian noise of the same strength added. 'reconstructed': what the model makes of that.

    Where the view has training images, the distance to the nearest one stands under each picture:
    Euclidean, over all pixels of the picture as shown, in [0, 1].

    strengths: standard deviations of the noise, absolute in the code as in the pixels.
    images: test images, a block each.
    """

    @word
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
        x = view.images[chosen.to(view.images.device)]
        code = view.model.encode(x)
        coded, pixels, cleaned = self._columns(view, x, code)
        # columns (C, N, ...) -> for each image its three rows
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

    def _columns(self, view: View, x: Tensor, code: Code) -> tuple[Tensor, Tensor, Tensor]:
        """The three kinds of pictures for no noise and each strength, (1 + S, N, C, H, W)."""
        generator = view.generator()
        eps_z = torch.empty_like(code.mean).normal_(generator=generator)
        eps_x = torch.empty_like(x).normal_(generator=generator)
        levels = [0.0, *self.strengths]
        codes = [view.model.decode(code.mean + s * eps_z, code.context) for s in levels]
        pixels = [x + s * eps_x for s in levels]
        cleaned = [view.model.reconstruct(noisy) for noisy in pixels]
        return torch.stack(codes), torch.stack(pixels), torch.stack(cleaned)


def nearest(images: Tensor, training: Tensor) -> Tensor:
    """The Euclidean distance from each of (N, C, H, W) to the nearest of (M, C, H, W): (N,)."""
    points = images.flatten(1)
    parts = [
        torch.cdist(points, part.flatten(1).to(points), compute_mode="donot_use_mm_for_euclid_dist")
        for part in torch.split(training, 5000)
    ]
    return torch.stack([part.amin(1) for part in parts]).amin(0)


def _distances(images: Tensor, training: Tensor) -> list[str]:
    return [f"{d:.2f}" for d in nearest(images.clamp(0, 1), training).tolist()]
