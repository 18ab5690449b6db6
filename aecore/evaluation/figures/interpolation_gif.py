"""Animated interpolations between images."""

from __future__ import annotations

import torch

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.animation import Animation, there_and_back
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.interpolations import blend
from aecore.evaluation.trial import Trial, need_decoder, need_images
from aecore.model.codes import Code


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

    @torch.no_grad()
    def __call__(self, trial: Trial) -> Animation:
        """Decode; raises SkippedError for tables and networks that decode no codes alone."""
        need_images(trial)
        need_decoder(trial)
        if len(trial) < 2:
            raise SkippedError("there is only one image")
        first, second = pairs(trial, self.rows * self.columns)
        nearest = trial.model.latent.nearest
        ways = [nearest(codes) for codes in blend(first.mean, second.mean, self.steps)]
        pages = (trial.model.decode(codes, first.context) for codes in ways)
        return there_and_back(pages, columns=self.columns, side=self.side, duration=self.duration)


def pairs(trial: Trial, count: int) -> tuple[Code, Code]:
    """The codes of the first and of the second images of `count` pairs of different ones."""
    generator = trial.generator()
    total = len(trial)
    device = generator.device
    first = torch.randint(total, (count,), generator=generator, device=device)
    step = torch.randint(1, total, (count,), generator=generator, device=device)
    second = (first + step) % total
    (x, y), (x_other, y_other) = (trial.at(index).tensors() for index in (first, second))
    return trial.model.encode(x, y=y), trial.model.encode(x_other, y=y_other)
