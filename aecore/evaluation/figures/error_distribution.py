"""Whether the error tells images of the kind that was trained on from others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.figures.axes import finish, logarithmic
from aecore.evaluation.figures.grid import INK, QUIET, new_figure
from aecore.evaluation.figures.latent import palette
from aecore.evaluation.figures.view import Picture, View, need_no_classes, same_images, spread
from aecore.evaluation.metrics.images import squared_error
from aecore.evaluation.metrics.ood import auroc

_LEAST = 1e-10  # the smallest error that a logarithmic axis shows


class ErrorDistribution(Picture):
    """Histograms of the squared error per pixel: of test images and of unknown ones.

    Of a table per number, in its own units.
    Unknown are images of the view's other data sets and, unless `uniform` is among them, of
    uniform random pixels in [0, 1]. The legend says the area under the ROC curve of the error as
    a detector of them: the probability that an unknown image has a larger error than a test image.

    images: of each kind, at most. bins: of the histograms, on a logarithmic axis.
    """

    @component
    def __init__(self, *, images: PositiveInt, bins: PositiveInt) -> None:
        self.images = images
        self.bins = bins

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw, tables too; raises NotApplicable for a model that is told classes."""
        return _histograms({"": self._errors(view, view)}, self.bins, view)

    @torch.no_grad()
    def together(self, views: Mapping[str, View]) -> Figure:
        """The histograms of each run below each other, on one axis.

        Raises NotApplicable where the runs know or do not know other images, or a model is told
        classes.
        """
        first = same_images(views)
        if any(view.ood.keys() != first.ood.keys() for view in views.values()):
            raise NotApplicable("the runs were measured on different unknown images")
        errors = {name: self._errors(view, first) for name, view in views.items()}
        return _histograms(errors, self.bins, first)

    def _errors(self, view: View, chooser: View) -> dict[str, Tensor]:
        """The error (N,) of each image by kind, known ones first, chosen as another view does."""
        need_no_classes(view)
        generator = chooser.generator()
        chosen = spread(view.labels, len(view.images), self.images, generator)
        known = view.images[chosen.to(view.images.device)]
        strange = {}
        if "uniform" not in view.ood:
            strange["uniform random"] = torch.empty_like(known).uniform_(generator=generator)
        strange |= {name: x[: self.images].to(known) for name, x in view.ood.items()}
        return {
            name: squared_error(view.reconstructions(x), x).double().clamp_min(_LEAST).cpu()
            for name, x in {f"{view.name} {view.things}": known, **strange}.items()
        }


def _histograms(runs: dict[str, dict[str, Tensor]], bins: int, view: View) -> Figure:
    """Errors by run and kind, an Axes a run, the bins of all the same; of such images."""
    height = 3.9 if len(runs) == 1 else 0.4 + 2.3 * len(runs)
    figure = new_figure(6.6, height, constrained=True)
    grid = figure.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
    values = torch.cat([found for errors in runs.values() for found in errors.values()]).log10()
    edges = 10 ** np.linspace(float(values.min()) - 0.02, float(values.max()) + 0.02, bins + 1)
    for axes, (run, errors) in zip(grid, runs.items(), strict=True):
        _draw(axes, errors, edges)
        finish(axes, title=run or f"Errors of known and unknown {view.things}", x="",
               y=f"{view.things}, fullest bin = 1")  # fmt: skip
    grid[-1].set_xlabel(f"squared error per {view.per}", size=9, color=QUIET)
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
