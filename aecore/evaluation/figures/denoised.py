"""Clean, noisy, cleaned: what the autoencoder makes of noisy images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt, component
from aecore.errors import NotApplicable
from aecore.evaluation.figures.grid import image_grid
from aecore.evaluation.figures.reconstructions import blocks, chosen, labelled
from aecore.evaluation.figures.view import Picture, View, need_images, same_images


class Denoised(Picture):
    """Rows of clean images, of noisy ones, and of the reconstructions of the noisy ones.

    The noise is that of the evaluation where it has one, else that of the training.
    columns: images side by side. rows: how many such blocks below each other.
    Under the images stands their squared error per pixel, against the clean ones.
    """

    @component
    def __init__(self, *, columns: PositiveInt, rows: PositiveInt) -> None:
        self.columns = columns
        self.rows = rows

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; raises NotApplicable for tables and where there is no noise."""
        need_images(view)
        x, y = chosen(view, self.columns * self.rows)
        noisy = _noisy(view, x)
        kinds = {"clean": x, "noisy": noisy, "cleaned": view.model.reconstruct(noisy, y)}
        return blocks(kinds, self.columns, "Denoised, with the squared error per pixel")

    @torch.no_grad()
    def together(self, views: Mapping[str, View]) -> Figure:
        """The same clean images first, then the noisy ones and what each run makes of them.

        Noise that is the same for all runs is shown once, any other above its run.
        Raises NotApplicable for tables, without noise and where the runs' test images differ.
        """
        first = same_images(views)
        need_images(first)
        x, y = chosen(first, self.columns)
        noisy = {name: _noisy(view, x) for name, view in views.items()}
        outputs = {name: view.model.reconstruct(noisy[name], y) for name, view in views.items()}
        some = next(iter(noisy.values()))
        rows, labels, gaps = [x], ["clean"], [0]
        shared = all(torch.equal(images, some) for images in noisy.values())
        if shared:
            rows, labels, gaps = [x, some], ["clean", *labelled({"noisy": some}, x)], [1]
        for label, (name, output) in zip(labelled(outputs, x), outputs.items(), strict=True):
            if not shared:
                rows.append(noisy[name])
                labels += labelled({"noisy": noisy[name]}, x)
            rows.append(output)
            labels.append(label)
            gaps += [] if shared else [len(rows) - 1]
        title = "The same images denoised, with their mean squared error per pixel"
        return image_grid(rows, title=title, labels=labels, gaps=gaps)


def _noisy(view: View, x: Tensor) -> Tensor:
    """The images (N, C, H, W) with the view's noise; NotApplicable where there is none."""
    if view.noise is None:
        raise NotApplicable("there is no noise, neither in training nor in the evaluation")
    return view.model.corrupt(x, view.generator(), view.noise)
