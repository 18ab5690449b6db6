"""Whether noise in the code leads to other images of the kind, and noise in the pixels away."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from aecore.config.component import PositiveFloat, PositiveInt, component
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject, pixel_batches
from aecore.model.autoencoder import Autoencoder

_BATCH = 5000  # training images at once


class NearestTraining(Metric):
    """How far noise leads from the training images: the distance to the nearest one.

    `nearest_training_code`: of pictures decoded from the codes of test images with Gaussian
    noise; `nearest_training_pixels`: of the test images with noise of the same strength. The mean
    over images of the Euclidean distance over all pixels, clamped to [0, 1].

    strength: the standard deviation, absolute in the code as in the pixels.
    images: test images, at most.
    """

    @component
    def __init__(self, *, strength: PositiveFloat, images: PositiveInt) -> None:
        self.strength = strength
        self.images = images

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable for tables."""
        if subject.is_table:
            raise NotApplicable("the rows of a table are no pixels in [0, 1]")
        x, y = subject.some(subject.test, self.images)
        draws = subject.generator()
        coded, pixels, _ = noisy_pictures(subject.model, x, [self.strength], draws, y)
        both = nearest(torch.cat([coded[0], pixels[0]]).clamp(0, 1), subject.training).double()
        code, pixel = both.reshape(2, -1).mean(1).tolist()
        return {"nearest_training_code": code, "nearest_training_pixels": pixel}


def noisy_pictures(
    model: Autoencoder,
    x: Tensor,
    strengths: Sequence[float],
    generator: Generator,
    y: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What becomes of images x (N, C, H, W), labels y, under Gaussian noise of S deviations.

    The decoded codes with noise, the pixels with noise, what the model makes of these; each
    (S, N, C, H, W). One draw for all strengths.
    """
    code = model.encode(x, y=y)
    eps_z = torch.empty_like(code.mean).normal_(generator=generator)
    eps_x = torch.empty_like(x).normal_(generator=generator)
    codes = [model.decode(code.mean + s * eps_z, code.context) for s in strengths]
    pixels = [x + s * eps_x for s in strengths]
    cleaned = [model.reconstruct(noisy, y) for noisy in pixels]
    return torch.stack(codes), torch.stack(pixels), torch.stack(cleaned)


def nearest(images: Tensor, training: Split) -> Tensor:
    """The Euclidean distance from each of (N, C, H, W) pixels to the nearest training image: (N,).

    The split is turned to pixels part by part.
    """
    points = images.flatten(1)
    parts = [
        torch.cdist(
            points, part.flatten(1).to(points), compute_mode="donot_use_mm_for_euclid_dist"
        ).amin(1)
        for part in pixel_batches(training, _BATCH, points.device)
    ]
    return torch.stack(parts).amin(0)
