"""Whether the error tells images of the kind that was trained on from others."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor

from aecore.figures.axes import finish
from aecore.figures.grid import INK, new_figure
from aecore.figures.latent import palette
from aecore.figures.view import Picture, View, spread
from aecore.metrics.images import squared_error
from aecore.words import PositiveInt, word

_LEAST = 1e-10  # the smallest error that a logarithmic axis shows


class ErrorDistribution(Picture):
    """Histograms of the squared error per pixel: of test images and of unknown ones.

    Unknown are images of uniform random pixels in [0, 1], and those of the view's other data
    sets. The legend says the area under the ROC curve of the error as a detector of them: the
    probability that an unknown image has a larger error than a test image.

    images: of each kind, at most. bins: of the histograms, on a logarithmic axis.
    """

    @word
    def __init__(self, *, images: PositiveInt, bins: PositiveInt) -> None:
        self.images = images
        self.bins = bins

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; applies to every model and to tables too."""
        generator = view.generator()
        chosen = spread(view.labels, len(view.images), self.images, generator)
        known = view.images[chosen.to(view.images.device)]
        random = torch.empty_like(known).uniform_(generator=generator)
        strange = {"uniform random": random}
        strange |= {name: x[: self.images].to(known) for name, x in view.unknown.items()}
        errors = {
            name: squared_error(view.reconstructions(x), x).double().clamp_min(_LEAST).cpu()
            for name, x in {"test images": known, **strange}.items()
        }
        return _histograms(errors, self.bins)


def auroc(known: Tensor, unknown: Tensor) -> float:
    """How well larger scores (N,) and (M,) tell the unknown from the known: 0.5 is chance."""
    truth = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(truth, torch.cat([known, unknown]).numpy()))


def _histograms(errors: dict[str, Tensor], bins: int) -> Figure:
    figure = new_figure(6.6, 3.9, constrained=True)
    axes = figure.subplots()
    together = torch.cat(list(errors.values())).log10()
    edges = 10 ** np.linspace(float(together.min()) - 0.02, float(together.max()) + 0.02, bins + 1)
    known, *_ = errors.values()
    for (name, values), colour in zip(errors.items(), palette(len(errors)), strict=True):
        counts, _ = np.histogram(values.numpy(), edges)
        score = "" if values is known else f", AUROC {auroc(known, values):.4f}"
        heights = counts / counts.max()
        axes.stairs(heights, edges, fill=True, alpha=0.25, color=colour)
        axes.stairs(heights, edges, color=colour, label=name + score, linewidth=1.4)
    axes.set_xscale("log")
    finish(axes, title="Errors of known and unknown images", x="squared error per pixel",
           y="images, fullest bin = 1")  # fmt: skip
    axes.set_ylim(0, 1.1 + 0.1 * len(errors))  # with the legend's place
    axes.set_yticks([0, 0.5, 1])
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")
    return figure
