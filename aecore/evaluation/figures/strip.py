"""A few test images above their reconstructions, small and bare: to lay runs under one another."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate, pad

from aecore.config.component import PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.figures.grid import DPI, displayable, new_figure
from aecore.evaluation.figures.view import Picture, View

_SIDE = 56  # dots: an image is enlarged by whole numbers up to this, or made smaller
_GAP = 2


class Strip(Picture):
    """A row of inputs, a row of reconstructions, transparent gaps and nothing else.

    columns: images side by side. Which images are shown depends on the data alone, not on the
    seed or the model, so that the strips of two runs can be compared.
    """

    @component
    def __init__(self, *, columns: PositiveInt) -> None:
        self.columns = columns

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for tables."""
        if view.is_table:
            raise NotApplicable("the rows of a table have no picture")
        chosen = fixed_choice(view.labels, len(view.images), self.columns)
        x, y = view.at(chosen)
        rows = [_row(x, below=_GAP), _row(view.model.reconstruct(x, y), below=0)]
        picture = torch.cat(rows, dim=1)
        height, width = picture.shape[1:]
        figure = new_figure(width / DPI, height / DPI)
        figure.set_facecolor("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest", aspect="auto")
        return figure


def fixed_choice(labels: Tensor | None, total: int, count: int) -> Tensor:
    """Positions of the first images of each class in turn, ordered by class; no randomness.

    labels: (total,) int64, or None: the first images. Returns (min(count, total),) int64.
    """
    count = min(count, total)
    if labels is None:
        return torch.arange(count)
    seen: dict[int, int] = {}
    ranks = []
    for position, label in enumerate(labels.tolist()):
        ranks.append((seen.get(label, 0), label, position))
        seen[label] = seen.get(label, 0) + 1
    first = sorted(ranks)[:count]
    return torch.tensor([position for _, _, position in sorted(first, key=lambda r: (r[1], r[2]))])


def _row(images: Tensor, below: int) -> Tensor:
    """(N, C, H, W) side by side with transparent gaps: (4, H' + below, N * (W' + gap) - gap)."""
    images = displayable(images)
    images = images if images.shape[1] >= 3 else images.expand(-1, 3, -1, -1)
    if images.shape[1] == 3:
        images = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    side = max(images.shape[2:])
    if side > _SIDE:
        size = tuple(max(1, round(n * _SIDE / side)) for n in images.shape[2:])
        images = interpolate(images, size, mode="area")
    else:
        zoom = _SIDE // side
        images = images.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    images = pad(images, (0, _GAP, 0, below))
    return torch.cat(list(images), dim=2)[:, :, :-_GAP]
