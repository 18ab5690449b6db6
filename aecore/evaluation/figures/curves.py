"""Losses during training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from aecore.errors import SkippedError
from aecore.evaluation.figures.axes import beside_legend, finish, logarithmic
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import ACCENT, INK, QUIET, new_figure
from aecore.evaluation.figures.scale import palette
from aecore.evaluation.trial import Trial

_COLOURS = {"train": "#30638e", "val": ACCENT}
_DASHES: dict[str, tuple[Literal["-", "--"], str]] = {
    "train": ("-", "train"),
    "val": ("--", "validation"),
}
Curve = tuple[list[float], list[float]]  # epochs, values


class Curves(TrialFigure):
    """The loss and each of its terms over the epochs, training and validation in one Axes."""

    def __call__(self, trial: Trial) -> Figure:
        """Draw; raises SkippedError without a training history."""
        terms = by_term(trial.history)
        if not terms:
            raise SkippedError("there is no training history")
        return small_multiples(terms)

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """The loss of every run in one Axes; raises SkippedError below two with a history."""
        curves = {name: by_term(trial.history).get("loss", {}) for name, trial in trials.items()}
        losses = {name: splits for name, splits in curves.items() if splits}
        if len(losses) < 2:
            raise SkippedError("fewer than two runs have a training history")
        models = [trials[name].model for name in losses]
        objectives = {(type(model.reconstruction), *model.penalties) for model in models}
        return losses_of(losses, comparable=len(objectives) == 1)


def losses_of(losses: Mapping[str, Mapping[str, Curve]], *, comparable: bool = True) -> Figure:
    """`run -> split -> curve`: one colour per run, training solid, validation dashed.

    comparable: whether all runs have one objective; that they do not is said in the title.
    """
    figure, axes = beside_legend(losses)
    drawn: list[float] = []
    handles = []
    for (name, splits), colour in zip(losses.items(), palette(len(losses)), strict=True):
        handles.append(Line2D([], [], color=colour, linewidth=2.5, label=name))
        for split, (epochs, values) in sorted(splits.items()):
            marker = "o" if len(values) <= 30 else ""
            axes.plot(epochs, values, _DASHES[split][0], color=colour, label=f"{name}, {split}",
                      marker=marker, markersize=3.5, linewidth=1.5,
                      markerfacecolor=colour if split == "train" else "white")  # fmt: skip
            drawn += values
    present = {split for splits in losses.values() for split in splits}
    handles += [
        Line2D([], [], color=QUIET, linestyle=line, label=label, marker="o", markersize=3.5,
               markerfacecolor=QUIET if split == "train" else "white")
        for split, (line, label) in _DASHES.items() if split in present
    ]  # fmt: skip
    _set_scale(axes, drawn)
    note = "" if comparable else ", of different objectives: levels are not comparable"
    finish(axes, title=f"Loss per image{note}", x="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if axes.dataLim.width == 0:  # a single epoch is drawn as a marker
        axes.set_xticks([axes.dataLim.x0])
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9,
                  labelcolor=INK)  # fmt: skip
    return figure


def by_term(history: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Curve]]:
    """`term -> split -> (epochs, values)` of rows such as {epoch: 0, train/loss: 1.0, ...}.

    The loss comes first, the terms follow in their order. Values that are not finite are left
    out, and so is `TERM_weighted` where it equals TERM.
    """
    terms: dict[str, dict[str, Curve]] = {}
    for row in history:
        for key, value in row.items():
            split, _, term = key.partition("/")
            if split not in _COLOURS or not math.isfinite(value):
                continue
            epochs, values = terms.setdefault(term, {}).setdefault(split, ([], []))
            epochs.append(row["epoch"])
            values.append(value)
    shown = {name: curves for name, curves in terms.items() if not _repeats(name, terms)}
    return dict(sorted(shown.items(), key=lambda item: item[0] != "loss"))


def _repeats(name: str, terms: Mapping[str, Mapping[str, Curve]]) -> bool:
    plain = name.removesuffix("_weighted")
    return plain != name and terms.get(plain) == terms[name]


def small_multiples(terms: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """One Axes per term, up to three side by side."""
    columns = min(3, math.ceil(len(terms) ** 0.5))
    rows = -(-len(terms) // columns)
    figure = new_figure(max(4.6, 3.4 * columns), 0.5 + 2.5 * rows, constrained=True)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes in grid.flat[len(terms) :]:
        axes.set_axis_off()
    for axes, (term, splits) in zip(grid.flat, terms.items(), strict=False):
        _draw_term(axes, term, splits)
    for axes in grid.flat[max(0, len(terms) - columns) : len(terms)]:
        axes.set_xlabel("epoch", size=9, color=QUIET)
        axes.tick_params(labelbottom=True)
    grid[0, 0].legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _draw_term(axes: Axes, term: str, splits: Mapping[str, Curve]) -> None:
    for split, (epochs, values) in sorted(splits.items()):
        marker = "o" if len(values) <= 30 else ""
        axes.plot(epochs, values, color=_COLOURS[split], label=split, marker=marker,
                  markersize=3, linewidth=1.5)  # fmt: skip
    drawn = [value for _, values in splits.values() for value in values]
    finish(axes, title=term, size=10)
    _set_scale(axes, drawn)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _set_scale(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis for positive values over more than a power of ten."""
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
