"""What the units of a sparse code stand for, and how often they are active."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.errors import SkippedError
from aecore.evaluation.figures.axes import finish, logarithmic
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import image_grid, new_figure
from aecore.evaluation.metrics.dictionary import densities, strongest
from aecore.evaluation.trial import Trial, need_images

_RARE = 1e-3  # share of images


class MostActivating(TrialFigure):
    """Each row shows the test images with the largest values of one unit of the code.

    units: rows: of the units that are active for some image, evenly from the most to the least
    frequent. images: columns, less where fewer have a positive value; below each is the value.
    """

    units: PositiveInt
    images: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables, and where no unit is active."""
        need_images(trial)
        shares, (images, values) = densities(trial), strongest(trial, self.images)
        units = _spread(shares, self.units)
        rows = [_active_images(trial, images[u], values[u]) for u in units]
        return image_grid(
            rows,
            title=f"Most activating images of {len(units)} of {len(shares)} units",
            labels=[f"unit {unit}\n{shares[unit]:.2%}" for unit in units],
            captions=[[f"{v:.3g}" if v > 0 else "" for v in values[u]] for u in units],
        )


def _active_images(trial: Trial, index: Tensor, values: Tensor) -> Tensor:
    """The images at `index`, (n, C, H, W), white where the value of the unit is not above 0."""
    images = trial.at(index).tensors()[0].cpu()
    return images.masked_fill((values <= 0)[:, None, None, None], 1.0)


def _spread(shares: Tensor, count: int) -> list[int]:
    """Up to `count` units, evenly from the most to the least frequently active one."""
    live = int((shares > 0).sum())
    if not live:
        raise SkippedError("no unit of the code is active")
    order = shares.argsort(descending=True, stable=True)[:live]
    return order[torch.linspace(0, live - 1, min(count, live)).round().long()].tolist()


class Densities(TrialFigure):
    """A histogram of how often each unit of the code is active, on a logarithmic axis.

    Over the test images, 5000 at most. The title counts the units that are never active, and those
    that are for fewer than one in a thousand images. bins: of the histogram.
    """

    bins: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError where no unit is active."""
        shares = densities(trial)
        live = shares[shares > 0]
        if not len(live):
            raise SkippedError("no unit of the code is active")
        figure = new_figure(6.8, 3.8, constrained=True)
        axes = figure.subplots()
        edges = torch.logspace(float(live.min().log10()) - 0.05, 0.0, self.bins + 1)
        axes.hist(live.tolist(), edges.tolist(), color="#30638e")
        axes.set_xscale("log")
        logarithmic(axes.xaxis)
        rare = int((live < _RARE).sum())
        title = f"{len(shares)} units: {len(shares) - len(live)} dead, {rare} rare"
        finish(axes, title=title, x=f"share of {trial.name} images with the unit active", y="units")
        return figure
