"""The correlation of latent dimensions."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt, component
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.dimensions import dimensions
from aecore.evaluation.figures.grid import DPI, INK, QUIET, new_figure
from aecore.evaluation.figures.heat import add_bar, colour_map
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

    @component
    def __init__(self, *, dims: PositiveInt) -> None:
        self.dims = dims

    @torch.no_grad()
    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for a code of one dimension and for a single image."""
        found = dimensions(trial)
        if found.codes.shape[1] < 2:
            raise SkippedError("a code of one dimension has nothing to correlate with")
        if len(found.codes) < 2:
            raise SkippedError("there is only one image")
        chosen = found.order[: self.dims]
        codes = found.codes[:, chosen]
        matrix = correlation(codes, _INACTIVE if found.has_kl else 0.0)
        mean_correlation = matrix[~torch.eye(len(matrix), dtype=torch.bool)].abs().nanmean()
        several = len(matrix) < found.codes.shape[1]
        of = f" of {found.codes.shape[1]}" if several else ""
        title = (
            f"Correlation of {len(matrix)}{of} code dimensions by {found.kind}\n"
            f"mean |r| of different ones {mean_correlation:.2f}"
        )
        return _page(matrix, [f"z{d + 1}" for d in chosen.tolist()], title)


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


def _page(matrix: Tensor, names: list[str], title: str) -> Figure:
    size = len(matrix)
    dots = size * max(1, _SIDE // size)
    width, height = dots + 60, dots + 98
    figure = new_figure(width / DPI, height / DPI)
    figure.text(46 / width, 1 - 10 / height, title, size=11, color=INK, va="top")
    axes = figure.add_axes((46 / width, 42 / height, dots / width, dots / height))
    axes.imshow(matrix.numpy(), colour_map(True), vmin=-1, vmax=1, interpolation="nearest",
                aspect="auto")  # fmt: skip
    every = -(-size // 40)
    axes.set_xticks(range(0, size, every), names[::every], rotation=90)
    axes.set_yticks(range(0, size, every), names[::every])
    axes.tick_params(labelsize=7, colors=QUIET, length=0)
    for spine in axes.spines.values():
        spine.set_color("#cccccc")
    return add_bar(figure, 1.0, signed=True)
