"""Reconstructions of out-of-distribution images."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.reconstructions import labelled
from aecore.evaluation.selection import balanced
from aecore.evaluation.trial import Trial, need_images, need_no_classes, same_images


class OodFigure(TrialFigure):
    """Images of other data sets (`evaluate.ood`) and classes above their reconstructions.

    columns: images side by side. Their mean squared error per pixel stands at the left.
    """

    columns: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables and where no other data set is named."""
        return self.draw_runs({"reconstruction": trial})

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """The same images of each data set, then the reconstructions of each run.

        Raises SkippedError where the runs have different other images.
        """
        first = next(iter(trials.values()))
        need_images(first)
        if not first.ood:
            raise SkippedError("no other data set is named: evaluate.ood=[kmnist]")
        rows, labels, gaps = [], [], []
        for trial in trials.values():
            need_no_classes(trial)
        if any(name not in trial.ood for trial in trials.values() for name in first.ood):
            raise SkippedError("the runs were tested on different images")
        for name in first.ood:
            others = {label: trial.on(trial.ood[name]) for label, trial in trials.items()}
            other = same_images(others)
            index = balanced(None, len(other), self.columns, first.generator())
            x, _ = other.at(index).tensors()
            outputs = {label: trial.model.reconstruct(x) for label, trial in trials.items()}
            rows += [x, *outputs.values()]
            labels += [name, *labelled(outputs, x)]
            gaps.append(len(rows) - 1)
        title = "Unknown images, with the mean squared error per pixel"
        return image_grid(rows, title=title, labels=labels, gaps=gaps[:-1])
