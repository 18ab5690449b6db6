"""What the autoencoder makes of images unlike those it was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from aecore.config.component import PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.reconstructions import labelled
from aecore.evaluation.figures.view import Picture, View, need_images, need_no_classes, spread


class OodFigure(Picture):
    """Images of other data sets (`evaluate.ood`) and classes above their reconstructions.

    columns: images side by side. At the left stands their mean squared error per pixel.
    """

    @component
    def __init__(self, *, columns: PositiveInt) -> None:
        self.columns = columns

    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for tables and where no other data set is named."""
        return self.together({"reconstruction": view})

    @torch.no_grad()
    def together(self, views: Mapping[str, View]) -> Figure:
        """The same images of each data set, then what each run makes of them.

        Raises NotApplicable where the runs do not look at the same other images.
        """
        first = next(iter(views.values()))
        need_images(first)
        if not first.ood:
            raise NotApplicable("no other data set is named: evaluate.ood=[kmnist]")
        rows, labels, gaps = [], [], []
        for view in views.values():
            need_no_classes(view)
        for name, images in first.ood.items():
            for view in views.values():
                other = view.ood.get(name)
                if other is None or other.device != images.device or not torch.equal(other, images):
                    raise NotApplicable("the runs were tried on different images")
            x = images[spread(None, len(images), self.columns, first.generator())]
            outputs = {label: view.model.reconstruct(x) for label, view in views.items()}
            rows += [x, *outputs.values()]
            labels += [name, *labelled(outputs, x)]
            gaps.append(len(rows) - 1)
        title = "Unknown images, with the mean squared error per pixel"
        return image_grid(rows, title=title, labels=labels, gaps=gaps[:-1])
