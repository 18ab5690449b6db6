"""Animated interpolations between images."""

from __future__ import annotations

import torch

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.animation import Animation, there_and_back
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.interpolations import between, blend
from aecore.evaluation.trial import Trial, need_decoder, need_images


class InterpolationGif(TrialFigure):
    """A grid of random pairs of test images, each on its way through the codes and back.

    rows, columns: the grid. steps: decoded images from code to code, both ends included; the way
    back shows those between once more, so there are 2 * steps - 2 frames (at least 1). A
    class-conditional model is given the class of the first image all the way.
    side: pixels of an image on the page, at most. duration: of a frame, in milliseconds.
    """

    rows: PositiveInt
    columns: PositiveInt
    steps: PositiveInt
    side: PositiveInt
    duration: PositiveInt

    def __call__(self, trial: Trial) -> Animation:
        """Decode; raises SkippedError for tables and networks that decode no codes alone."""
        need_images(trial)
        need_decoder(trial)
        if len(trial) < 2:
            raise SkippedError("there is only one image")
        images, labels = pairs(trial, self.rows * self.columns).tensors()
        pages = between(trial.model, images, labels, self.steps, blend).transpose(0, 1)
        return there_and_back(pages, columns=self.columns, side=self.side, duration=self.duration)


def pairs(trial: Trial, count: int) -> Trial:
    """The trial with `count` pairs of different images, the two of each one after the other."""
    generator = trial.generator()
    total = len(trial)
    device = generator.device
    first = torch.randint(total, (count,), generator=generator, device=device)
    step = torch.randint(1, total, (count,), generator=generator, device=device)
    return trial.at(torch.stack([first, (first + step) % total], dim=1).flatten())
