"""Test images above their reconstructions without decoration, to compare runs."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torchvision.utils import make_grid

from aecore.config.component import PositiveInt
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import Page
from aecore.evaluation.figures.heat import enlarged
from aecore.evaluation.selection import first_of_each_class
from aecore.evaluation.trial import Trial, need_images

_SIDE = 56  # pixels: images are enlarged by integers up to this, or reduced
_GAP = 2


class Strip(TrialFigure):
    """A row of inputs, one of reconstructions, one of targets where there are some; no decoration.

    columns: images side by side. Which images are shown depends on the data alone, not on the
    seed or the model, so that the strips of two runs can be compared.
    """

    columns: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError for tables."""
        need_images(trial)
        chosen = first_of_each_class(trial.images.labels, len(trial), self.columns)
        x, y, target = trial.at(chosen).pair()
        images = [x, trial.model.reconstruct(x, y), *([] if target is x else [target])]
        pictures = enlarged(torch.cat(images), _SIDE)
        if pictures.shape[1] == 3:
            pictures = torch.cat([pictures, torch.ones_like(pictures[:, :1])], dim=1)
        picture = make_grid(pictures, nrow=len(x), padding=_GAP, pad_value=0.0)
        picture = picture[:, _GAP:-_GAP, _GAP:-_GAP]
        page = Page(picture.shape[2], picture.shape[1])
        page.figure.set_facecolor("none")
        page.picture(0, 0, picture)
        return page.figure
