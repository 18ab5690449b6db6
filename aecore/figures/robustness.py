"""How the error grows as the input gets noisier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.figures.axes import finish
from aecore.figures.grid import ACCENT, INK, QUIET, new_figure
from aecore.figures.view import Picture, View, spread
from aecore.metrics.images import squared_error
from aecore.noise import Dropout, Gaussian, Noise, SaltAndPepper
from aecore.words import PositiveFloat, PositiveInt, word

Kind = Literal["gaussian", "dropout", "salt_and_pepper"]
_KINDS: dict[str, tuple[Callable[[float], Noise], str]] = {
    "gaussian": (lambda level: Gaussian(std=level), "standard deviation of the noise"),
    "dropout": (lambda level: Dropout(p=min(1.0, level)), "share of the pixels made black"),
    "salt_and_pepper": (
        lambda level: SaltAndPepper(p=min(1.0, level), salt=0.5),
        "share of the pixels made black or white",
    ),
}


class Robustness(Picture):
    """The squared error per pixel against the clean image, over the level of the input's noise.

    The dashed line is the noisy input's own error: below it, the model removes noise.

    kind: noise added in pixels, not clamped; every level uses the same random numbers.
    largest: the last level (a standard deviation or a probability), the first is 0.
    levels: points on the curve. images: test images, at most.
    """

    @word
    def __init__(
        self, *, kind: Kind, largest: PositiveFloat, levels: PositiveInt, images: PositiveInt
    ) -> None:
        self.kind = kind
        self.largest = largest
        self.levels = levels
        self.images = images

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; applies to every model and to tables too."""
        chosen = spread(view.labels, len(view.images), self.images, view.generator())
        x = view.images[chosen.to(view.images.device)]
        make, unit = _KINDS[self.kind]
        levels = torch.linspace(0, self.largest, self.levels).tolist()
        errors = [_errors(view, x, make(level)) for level in levels]
        figure = new_figure(5.6, 3.9, constrained=True)
        axes = figure.subplots()
        model, noisy = zip(*errors, strict=True)
        axes.plot(levels, noisy, color=QUIET, linestyle="--", linewidth=1.2, label="noisy input")
        axes.plot(levels, model, color=ACCENT, marker="o", markersize=3.5, linewidth=1.6,
                  label="reconstruction")  # fmt: skip
        title = f"Error against the clean image, {len(x)} test images"
        finish(axes, title=title, x=unit, y="squared error per pixel")
        axes.set_xlim(0, self.largest * 1.02)
        # the model's curve is what it is about: the noise itself may leave the page
        axes.set_ylim(0, 1.05 * min(max(*model, *noisy), 2.5 * max(model)) or 1.0)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
        return figure


def _errors(view: View, x: Tensor, noise: Noise) -> tuple[float, float]:
    """The mean error of the reconstruction of noisy images, and of these themselves."""
    span = (torch.zeros_like(x[:1]), torch.ones_like(x[:1]))
    noisy = noise(x, view.generator(), span)
    output = view.reconstructions(noisy)
    return float(squared_error(output, x).mean()), float(squared_error(noisy, x).mean())
