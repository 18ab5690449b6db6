"""The codes of images in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor
from torch.nn.functional import pad

from aecore.config.component import PositiveInt
from aecore.data.split import Split
from aecore.evaluation.figures.axes import finish, single
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import INK
from aecore.evaluation.figures.scale import palette
from aecore.evaluation.selection import class_name
from aecore.evaluation.trial import Trial, noun_of

_LEGEND_LIMIT = 40  # classes; more would fill the page


class LatentScatter(TrialFigure):
    """The mean codes of test images, coloured by class.

    Codes of one dimension are shown as histograms, of two as they are, of more by their first two
    principal components. points: test images shown, at most.
    """

    points: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; without labels in a single colour."""
        chosen = trial.balanced(self.points)
        title = f"{len(chosen)} {noun_of(trial.model.image_shape)}"
        return codes_figure(chosen.codes().float(), chosen.images, title)


def codes_figure(codes: Tensor, images: Split, what: str) -> Figure:
    """Codes (N, D), coloured by the labels of their images, as `LatentScatter` draws them.

    what: the images, for the title.
    """
    kinds, names = kinds_of(images)
    dims = codes.shape[1]
    title = f"Codes of {what}, {dims} dimension{'s' if dims > 1 else ''}"
    if dims == 1:
        return histogram(codes[:, 0], kinds, names, title)
    if dims == 2:
        axes_names = ["code dimension 1", "code dimension 2"]
        return scatter(codes, kinds, names, axes_names, title)
    points, shares = project(codes, 2)
    axes_names = [
        f"principal component {n + 1} ({100 * s:.1f} % of the variance)"
        for n, s in enumerate(shares.tolist())
    ]
    return scatter(points, kinds, names, axes_names, title)


def kinds_of(images: Split) -> tuple[Tensor, list[str]]:
    """The class of each image as an index (N,) into names; no names without labels."""
    if images.labels is None:
        return torch.zeros(len(images), dtype=torch.int64), []
    present, kinds = torch.unique(images.labels.cpu(), return_inverse=True)
    return kinds, [class_name(images, label) for label in present.tolist()]


def project(codes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first principal components of (N, D) codes, zeros where there are fewer than `count`.

    Each component's sign makes its largest score positive, so that two runs draw the same.

    Returns scores (N, count) float32 and their shares of the variance (count,).
    """
    x = codes.double() - codes.double().mean(0)
    # The smaller of the two products has the same non-zero eigenvalues as the covariance.
    wide = x.shape[1] > x.shape[0]
    values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    values = values.flip(0)[:count].clamp_min(0)
    vectors = vectors.flip(1)[:, :count]
    scores = vectors * values.sqrt() if wide else x @ vectors
    peaks = scores.gather(0, scores.abs().argmax(0, keepdim=True))
    scores = scores * torch.where(peaks < 0, -1.0, 1.0)
    shares = values / x.square().sum().clamp_min(torch.finfo(x.dtype).tiny)
    missing = count - len(values)
    return pad(scores, (0, missing)).float(), pad(shares, (0, missing)).float()


def scatter(
    points: Tensor, kinds: Tensor, names: Sequence[str], axes_names: Sequence[str], title: str
) -> Figure:
    """Points (N, 2) coloured by kind (N,), an index into `names`; no names: one colour."""
    figure, axes = single(6.6 if names else 5.6, 5.2)
    colours = np.array(palette(max(1, len(names))))
    # One call in shuffled order: no class lies on top of the others.
    size = 14 if len(points) <= 1000 else 7
    x, y = points.T.numpy()
    axes.scatter(x, y, c=colours[kinds.numpy()], s=size, alpha=0.6, linewidths=0)
    axes.set_aspect("equal", "datalim")
    x_name, y_name = axes_names
    finish(axes, title=title, x=x_name, y=y_name)
    _add_legend(axes, names)
    return figure


def histogram(values: Tensor, kinds: Tensor, names: Sequence[str], title: str) -> Figure:
    """Values (N,) of a code of one dimension, one outline a kind (N,)."""
    figure, axes = single(6.6 if names else 5.6, 4.2)
    edges = np.histogram_bin_edges(values.numpy(), bins=40)
    for kind, colour in enumerate(palette(max(1, len(names)))):
        counts, _ = np.histogram(values[kinds == kind].numpy(), edges)
        axes.stairs(counts, edges, fill=True, alpha=0.15, color=colour)
        axes.stairs(counts, edges, color=colour, linewidth=1.4)
    finish(axes, title=title, x="code", y="count")
    _add_legend(axes, names)
    return figure


def _add_legend(axes: Axes, names: Sequence[str]) -> None:
    if not 0 < len(names) <= _LEGEND_LIMIT:
        return
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=colour, label=name)
        for name, colour in zip(names, palette(len(names)), strict=True)
    ]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9,
        ncols=1 if len(names) <= 20 else 2, labelcolor=INK, handletextpad=0.2,
    )  # fmt: skip
