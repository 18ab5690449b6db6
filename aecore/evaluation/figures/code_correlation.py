"""The correlation of latent dimensions."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.dimensions import dimensions
from aecore.evaluation.figures.heat import heat_map
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.trial import Trial

_INACTIVE = 0.01
_SIDE = 420  # approximate side of the matrix, in pixels


class CodeCorrelation(TrialFigure):
    """The correlations between the dimensions of the mean codes of test images.

    dims: maximum number of dimensions, ordered as in Traversals. The title gives the mean absolute
    correlation of pairs of different dimensions. Grey dimensions have none: they are constant over
    the images, or, if each has a KL, inactive: the variance of their means is at most 0.01
    (Burda et al. 2016).
    """

    dims: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for a code of one dimension and for a single image."""
        measured = dimensions(trial)
        if measured.codes.shape[1] < 2:
            raise SkippedError("a code of one dimension has nothing to correlate with")
        if len(measured.codes) < 2:
            raise SkippedError("there is only one image")
        chosen = measured.order[: self.dims]
        codes = measured.codes[:, chosen]
        matrix = correlation(codes, _INACTIVE if measured.has_kl else 0.0)
        mean_correlation = matrix[~torch.eye(len(matrix), dtype=torch.bool)].abs().nanmean()
        several = len(matrix) < measured.codes.shape[1]
        of = f" of {measured.codes.shape[1]}" if several else ""
        title = (
            f"Correlation of {len(matrix)}{of} code dimensions by {measured.kind}\n"
            f"mean |r| of different ones {mean_correlation:.2f}"
        )
        figure = heat_map(matrix, Scale(1.0), title, _SIDE)
        every = -(-len(matrix) // 40)
        ticks = range(0, len(matrix), every)
        names = [f"z{d + 1}" for d in chosen[::every].tolist()]
        axes = figure.axes[0]
        axes.set_xticks(ticks, names, rotation=90)
        axes.set_yticks(ticks, names)
        axes.tick_params(labelsize=7, length=0)
        return figure


def correlation(codes: Tensor, least: float) -> Tensor:
    """Pearson's r between the columns of (N, D): (D, D).

    NaN for a column that is constant, or of a variance up to `least`.
    """
    centred = codes.double() - codes.double().mean(0)
    norm = centred.norm(dim=0)
    still = (norm <= 1e-6 * norm.max()) | (norm.square() / len(codes) <= least)
    norm[still] = float("nan")
    rows = centred / norm
    matrix: Tensor = (rows.T @ rows).float()
    return matrix
