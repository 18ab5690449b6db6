"""The matrix of a linear model."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate

from aecore.config.component import Probability, component
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import DPI, INK, QUIET, new_figure
from aecore.evaluation.figures.heat import add_bar, colour_map
from aecore.evaluation.metrics.identity import distance, need_linear, principal_space, product
from aecore.evaluation.trial import Trial

_SIDE = 600  # approximate side of the heat map, in pixels


class WeightProduct(TrialFigure):
    """The product P of all weight matrices of a linear model, decoder times encoder.

    The model maps an image x to P x + c, in its own range. A perfect one has P v = v for every
    direction v in which images differ. The title gives the distance from that:
    ||(P - I) V||_F / ||V||_F, where the columns of V are the leading principal components of the
    test images, as many as explain `explained` of their variance.
    """

    @component
    def __init__(self, *, explained: Probability) -> None:
        self.explained = explained

    @torch.no_grad()
    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for a model that is not linear, or too large."""
        need_linear(trial)
        matrix = product(trial.model)
        components = principal_space(trial, self.explained)
        count = components.shape[1]
        title = (
            f"Decoder times encoder, {distance(matrix, components):.3f} from the identity\n"
            f"on the {count} of {len(matrix)} dimensions with {100 * self.explained:g} % "
            "of the variance"
        )
        return heat_map(matrix, title)


def heat_map(matrix: Tensor, title: str) -> Figure:
    """A square matrix, enlarged by an integer, or averaged if it is large."""
    size, limit = len(matrix), max(float(matrix.abs().max()), 1e-12)
    shown = matrix
    if size > 1.5 * _SIDE:
        shown = interpolate(matrix[None, None], (_SIDE, _SIDE), mode="area")[0, 0]
    dots = len(shown) * max(1, _SIDE // len(shown))
    width, height = dots + 70, dots + 98
    figure = new_figure(width / DPI, height / DPI)
    figure.text(56 / width, 1 - 10 / height, title, size=11, color=INK, va="top")
    axes = figure.add_axes((56 / width, 46 / height, dots / width, dots / height))
    extent = (-0.5, size - 0.5, size - 0.5, -0.5)
    axes.imshow(shown.numpy(), colour_map(True), vmin=-limit, vmax=limit,
                interpolation="nearest", aspect="auto", extent=extent)  # fmt: skip
    axes.set_xlabel("pixel of the input", size=9, color=QUIET)
    axes.set_ylabel("pixel of the output", size=9, color=QUIET)
    axes.tick_params(labelsize=8, colors=QUIET)
    for spine in axes.spines.values():
        spine.set_color("#cccccc")
    return add_bar(figure, limit, signed=True)
