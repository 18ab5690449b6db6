"""The error as a function of the noise of the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveFloat, PositiveInt
from aecore.data.split import Split
from aecore.evaluation.figures.axes import beside_legend, finish, single
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import ACCENT, INK, QUIET
from aecore.evaluation.figures.scale import palette
from aecore.evaluation.metrics.images import squared_error
from aecore.evaluation.trial import Trial, element_of, noun_of, same_images
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import Dropout, GaussianNoise, SaltAndPepper

Kind = Literal["gaussian", "dropout", "salt_and_pepper"]
_KINDS: dict[str, tuple[Callable[[float], Noise], str]] = {
    "gaussian": (lambda level: GaussianNoise(std=level), "standard deviation of the noise"),
    "dropout": (lambda level: Dropout(p=min(1.0, level)), "share of the {}s made black"),
    "salt_and_pepper": (
        lambda level: SaltAndPepper(p=min(1.0, level), salt=0.5),
        "share of the {}s made black or white",
    ),
}


class Robustness(TrialFigure):
    """The squared error per pixel against the clean image, over the level of the input's noise.

    Of a table per feature, in its own units.
    The dashed line is the error of the noisy input: below it, the model removes noise.

    kind: noise added in pixels, not clamped; every level uses the same random numbers.
    largest: the last level (a standard deviation or a probability), the first is 0.
    levels: points on the curve. images: test images, at most.
    """

    kind: Kind
    largest: PositiveFloat
    levels: PositiveInt
    images: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; applies to every model and to tables too."""
        return self._drawn({"reconstruction": trial}, trial)

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """A curve per run; raises SkippedError if their test images differ."""
        return self._drawn(trials, same_images(trials))

    def _drawn(self, trials: Mapping[str, Trial], chooser: Trial) -> Figure:
        """The curves of all, for the images and with the random numbers of one of them."""
        chosen = chooser.balanced(self.images)
        x, _, target = chosen.pair()
        make, unit = _KINDS[self.kind]
        levels = torch.linspace(0, self.largest, self.levels).tolist()
        input_errors: list[float] = []
        curves: dict[str, list[float]] = {name: [] for name in trials}
        for level in levels:
            noisy = _noisy(chooser, x, make(level))
            input_errors.append(float(squared_error(noisy, target).mean()))
            for name, trial in trials.items():
                output = trial.on(Split(noisy, chosen.images.labels)).reconstructions()
                curves[name].append(float(squared_error(output, target).mean()))
        shape = chooser.model.image_shape
        element = element_of(shape)
        title = f"Error against the clean {noun_of(shape)}, {len(x)} of them"
        names = (unit.format(element), f"squared error per {element}")
        return _plot(levels, input_errors, curves, title, names)


def _plot(
    levels: list[float],
    noisy: list[float],
    curves: dict[str, list[float]],
    title: str,
    names: tuple[str, str],
) -> Figure:
    """A curve per name; several have a legend next to the plot. names: of the two axes."""
    alone = len(curves) == 1
    figure, axes = single(5.6, 3.9) if alone else beside_legend(curves)
    axes.plot(levels, noisy, color=QUIET, linestyle="--", linewidth=1.2, label="noisy input")
    colours = [ACCENT] if alone else palette(len(curves))
    for (name, errors), colour in zip(curves.items(), colours, strict=True):
        axes.plot(levels, errors, color=colour, marker="o", markersize=3.5, linewidth=1.6,
                  label=name)  # fmt: skip
    finish(axes, title=title, x=names[0], y=names[1])
    axes.set_xlim(0, levels[-1] * 1.02)
    # limits are set by the models; the curve of the noise may leave the plot
    highest = max(max(errors) for errors in curves.values())
    axes.set_ylim(0, 1.05 * min(max(highest, *noisy), 2.5 * highest) or 1.0)
    if alone:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    else:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _noisy(trial: Trial, x: Tensor, noise: Noise) -> Tensor:
    """The images (N, C, H, W) with noise, of the same random numbers at each level."""
    span = (torch.zeros_like(x[:1]), torch.ones_like(x[:1]))
    return noise(x, trial.generator(), span)
