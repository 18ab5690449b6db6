"""Test images above their reconstructions without decoration, to compare runs."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate, pad

from aecore.config.component import PositiveInt, component
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import DPI, displayable, new_figure
from aecore.evaluation.selection import first_of_each_class
from aecore.evaluation.trial import Trial, need_images

_SIDE = 56  # pixels: images are enlarged by integers up to this, or reduced
_GAP = 2


class Strip(TrialFigure):
    """A row of inputs, a row of reconstructions, transparent gaps and nothing else.

    columns: images side by side. Which images are shown depends on the data alone, not on the
    seed or the model, so that the strips of two runs can be compared.
    """

    @component
    def __init__(self, *, columns: PositiveInt) -> None:
        self.columns = columns

    @torch.no_grad()
    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables."""
        need_images(trial)
        chosen = first_of_each_class(trial.images.labels, len(trial), self.columns)
        x, y = trial.at(chosen).tensors()
        rows = [_row(x, below=_GAP), _row(trial.model.reconstruct(x, y), below=0)]
        picture = torch.cat(rows, dim=1)
        height, width = picture.shape[1:]
        figure = new_figure(width / DPI, height / DPI)
        figure.set_facecolor("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest", aspect="auto")
        return figure


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
