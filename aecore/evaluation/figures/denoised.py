"""Clean images, noisy ones, and the reconstructions of the noisy ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.reconstructions import blocks, by_class, labelled
from aecore.evaluation.trial import Trial, need_images, need_no_targets, same_images


class Denoised(TrialFigure):
    """Rows of clean images, of noisy ones, and of the reconstructions of the noisy ones.

    The noise is that of the evaluation if there is one, else that of training.
    columns: images side by side. rows: number of such blocks.
    Below the images is their squared error per pixel to the clean ones.
    """

    columns: PositiveInt
    rows: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables and where there is no noise."""
        need_images(trial)
        x, y, target = by_class(trial, self.columns * self.rows).pair()
        noisy = _noisy(trial, x)
        kinds = {"clean": x, "noisy": noisy, "denoised": trial.model.reconstruct(noisy, y)}
        title = "Denoised, with the squared error per pixel"
        return blocks(kinds, target, self.columns, title)

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """The same clean images first, then the noisy ones and the reconstructions of each run.

        Noise that is the same for all runs is shown once, any other above its run.
        Raises SkippedError for tables and targets, without noise and where the runs' test images
        differ.
        """
        first = same_images(trials)
        need_images(first)
        need_no_targets(first)
        x, y = by_class(first, self.columns).tensors()
        noisy = {name: _noisy(trial, x) for name, trial in trials.items()}
        outputs = {name: trial.model.reconstruct(noisy[name], y) for name, trial in trials.items()}
        some = next(iter(noisy.values()))
        rows, labels, gaps = [x], ["clean"], [0]
        shared = all(torch.equal(images, some) for images in noisy.values())
        if shared:
            rows, labels, gaps = [x, some], ["clean", *labelled({"noisy": some}, x)], [1]
        for label, (name, output) in zip(labelled(outputs, x), outputs.items(), strict=True):
            if not shared:
                rows.append(noisy[name])
                labels += labelled({"noisy": noisy[name]}, x)
            rows.append(output)
            labels.append(label)
            gaps += [] if shared else [len(rows) - 1]
        title = "The same images denoised, with their mean squared error per pixel"
        return image_grid(rows, title=title, labels=labels, gaps=gaps)


def _noisy(trial: Trial, x: Tensor) -> Tensor:
    """The images (N, C, H, W) with the trial's noise; SkippedError where there is none."""
    if trial.noise is None:
        raise SkippedError("there is no noise, neither in training nor in the evaluation")
    return trial.model.corrupt(x, trial.generator(), trial.noise)
