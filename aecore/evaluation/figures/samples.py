"""Images that the autoencoder draws by itself."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.view import Picture, View
from aecore.model.conditioning import need_labels


class Samples(Picture):
    """A grid of draws from the model. rows, columns: its size.

    Of a conditional model each column is a class of the test images, the first `columns` of them.
    """

    @component
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
        shown = self._classes(view)
        columns = self.columns if shown is None else len(shown)
        y = None if shown is None else shown.repeat(self.rows)
        images = view.model.sample(self.rows * columns, view.generator(), y)
        return image_grid(
            torch.split(images, columns),
            title="Samples" if shown is None else "Samples by class",
            heads=() if shown is None else [view.class_name(label) for label in shown.tolist()],
        )

    def _classes(self, view: View) -> Tensor | None:
        """The labels that a conditional model is told, one a column."""
        if view.model.classes is None:
            return None
        present: Tensor = torch.unique(need_labels(view.labels))
        return present[: self.columns]
