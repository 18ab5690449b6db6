"""Images that the autoencoder draws by itself."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from aecore.errors import NotApplicable
from aecore.figures.grid import image_grid
from aecore.figures.view import Picture, View
from aecore.words import PositiveInt, word


class Samples(Picture):
    """A grid of draws from the model. rows, columns: its size."""

    @word
    def __init__(self, *, rows: PositiveInt, columns: PositiveInt) -> None:
        self.rows = rows
        self.columns = columns

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for a model that cannot be sampled, and for tables."""
        if not view.model.can_sample:
            raise NotApplicable("this model's codes cannot be sampled")
        if view.is_table:
            raise NotApplicable("the rows of a table have no picture")
        images = view.model.sample(self.rows * self.columns, view.generator())
        return image_grid(torch.split(images, self.columns), title="Samples")
