"""The errors of test images and of out-of-distribution images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.figures.axes import finish, logarithmic
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import INK, QUIET, new_figure
from aecore.evaluation.figures.scale import palette
from aecore.evaluation.metrics.anomaly_score import error_unit, row_error
from aecore.evaluation.metrics.ood import auroc
from aecore.evaluation.selection import balanced
from aecore.evaluation.trial import Trial, need_no_classes, noun_of, same_images

_LEAST = 1e-10  # the smallest error that a logarithmic axis shows


class ErrorDistribution(TrialFigure):
    """Histograms of the squared error per pixel: of test images and of unknown ones.

    Of a table per feature, in its own units. Unknown are images of the trial's ood data sets and,
    unless `uniform` is among them, of uniform random pixels in [0, 1]. The legend gives the area
    under the ROC curve of the error as a detector of them: the probability that an unknown image
    has a larger error than a test image.

    images: of each kind, at most. bins: of the histograms, on a logarithmic axis.
    """

    images: PositiveInt
    bins: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw, tables too; raises SkippedError for a class-conditional model."""
        return _histograms({"": self._errors(trial, trial)}, self.bins, trial)

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """The histograms of each run below each other, on one axis.

        Raises SkippedError where the runs have different unknown images, or a model is
        class-conditional.
        """
        first = same_images(trials)
        if any(trial.ood.keys() != first.ood.keys() for trial in trials.values()):
            raise SkippedError("the runs were measured on different unknown images")
        errors = {name: self._errors(trial, first) for name, trial in trials.items()}
        return _histograms(errors, self.bins, first)

    def _errors(self, trial: Trial, chooser: Trial) -> dict[str, Tensor]:
        """The error (N,) of each image by kind, known ones first, chosen as another trial does."""
        need_no_classes(trial)
        generator = chooser.generator()
        known = trial.at(balanced(trial.images.labels, len(trial), self.images, generator))
        unknown = {}
        if "uniform" not in trial.ood:
            x, _ = known.tensors()
            noise = torch.empty_like(x).uniform_(generator=generator)
            unknown["uniform random"] = trial.on(Split(noise))
        unknown |= {name: trial.on(x).first(self.images) for name, x in trial.ood.items()}
        kinds = {f"{trial.name} {noun_of(trial.model.image_shape)}": known, **unknown}
        return {name: _errors_of(kind) for name, kind in kinds.items()}


def _errors_of(trial: Trial) -> Tensor:
    """The squared error (N,) of each image, on the CPU."""
    model = trial.model
    errors = [row_error(model, model.reconstruct(x), x) for x, _ in trial.batches()]
    return torch.cat(errors).double().clamp_min(_LEAST).cpu()


def _histograms(runs: dict[str, dict[str, Tensor]], bins: int, trial: Trial) -> Figure:
    """Errors by run and kind, one Axes per run, the bins of all the same.

    trial: with images of that shape.
    """
    noun = noun_of(trial.model.image_shape)
    height = 3.9 if len(runs) == 1 else 0.4 + 2.3 * len(runs)
    figure = new_figure(6.6, height, constrained=True)
    grid = figure.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
    values = torch.cat([error for errors in runs.values() for error in errors.values()]).log10()
    edges = 10 ** np.linspace(float(values.min()) - 0.02, float(values.max()) + 0.02, bins + 1)
    for axes, (run, errors) in zip(grid, runs.items(), strict=True):
        _draw(axes, errors, edges)
        finish(axes, title=run or f"Errors of known and unknown {noun}", x="",
               y=f"{noun}, fullest bin = 1")  # fmt: skip
    grid[-1].set_xlabel(f"squared error {error_unit(trial.model)}", size=9, color=QUIET)
    return figure


def _draw(axes: Axes, errors: dict[str, Tensor], edges: np.ndarray) -> None:
    known, *_ = errors.values()
    for (name, values), colour in zip(errors.items(), palette(len(errors)), strict=True):
        counts, _ = np.histogram(values.numpy(), edges)
        score = "" if values is known else f", AUROC {auroc(known, values):.4f}"
        heights = counts / counts.max()
        axes.stairs(heights, edges, fill=True, alpha=0.25, color=colour)
        axes.stairs(heights, edges, color=colour, label=name + score, linewidth=1.4)
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.set_ylim(0, 1.1 + 0.1 * len(errors))  # with the legend's place
    axes.set_yticks([0, 0.5, 1])
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")
