"""The distance of images with noise in code or pixels to the training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from aecore.config.component import PositiveFloat, PositiveInt
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial, need_images, need_no_targets

_BATCH = 5000  # training images at once


class NearestTraining(Metric):
    """The distance of noisy images to the nearest training image.

    `nearest_training_code`: of images decoded from the codes of test images with Gaussian
    noise; `nearest_training_pixels`: of the test images with noise of the same strength. The mean
    over images of the Euclidean distance over all pixels, clamped to [0, 1].

    strength: the standard deviation, absolute in the code as in the pixels.
    images: test images, at most.
    """

    reports: ClassVar = {"nearest_training_code": Reported(), "nearest_training_pixels": Reported()}

    strength: PositiveFloat
    images: PositiveInt

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Raises SkippedError for tables, and for images with targets."""
        need_images(trial)
        need_no_targets(trial)
        coded, pixels, _ = noisy_images(trial.sample(self.images), [self.strength])
        both = nearest(torch.cat([coded[0], pixels[0]]).clamp(0, 1), trial).double()
        code, pixel = both.reshape(2, -1).mean(1).tolist()
        return {"nearest_training_code": code, "nearest_training_pixels": pixel}


def noisy_images(trial: Trial, strengths: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """The images under Gaussian noise of S standard deviations, in the code and in the pixels.

    The decoded codes with noise, the images with noise, and the reconstructions of these; each
    (S, N, C, H, W). One draw for all strengths.
    """
    model, generator = trial.model, trial.generator()
    x, y = trial.tensors()
    code = model.encode(x, y=y)
    eps_z = torch.empty_like(code.mean).normal_(generator=generator)
    eps_x = torch.empty_like(x).normal_(generator=generator)
    codes = [model.decode(code.mean + s * eps_z, code.context) for s in strengths]
    pixels = [x + s * eps_x for s in strengths]
    cleaned = [model.reconstruct(noisy, y) for noisy in pixels]
    return torch.stack(codes), torch.stack(pixels), torch.stack(cleaned)


def nearest(images: Tensor, trial: Trial) -> Tensor:
    """The Euclidean distance from each of (N, C, H, W) pixels to the nearest training image: (N,).

    The training images are read in batches.
    """
    points = images.flatten(1)
    parts = [
        torch.cdist(
            points, part.flatten(1).to(points), compute_mode="donot_use_mm_for_euclid_dist"
        ).amin(1)
        for part, _ in trial.on(trial.training).batches(_BATCH)
    ]
    return torch.stack(parts).amin(0)
