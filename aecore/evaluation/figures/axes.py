"""How Axes with numbers look."""

from __future__ import annotations

from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from aecore.evaluation.figures.grid import INK, QUIET, new_figure


def beside_legend(names: Collection[str]) -> tuple[Figure, Axes]:
    """An empty plot with room at its right for a legend of those names, each in a line."""
    width = 6.8 + 0.09 * max(map(len, names), default=0)
    figure = new_figure(width, max(4.2, 1.2 + 0.22 * len(names)), constrained=True)
    return figure, figure.subplots()


def logarithmic(axis: Axis) -> None:
    """Numbers as one writes them, at 1, 2 and 5 of each power of ten.

    Of what spans more than three powers of ten, at the powers alone: others would touch.
    To be called when all is drawn.
    """
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high <= 1e3 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def finish(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Title at the left, names of the axes in small type, a faint grid behind everything."""
    axes.set_title(title, size=11, color=INK, loc="left")
    axes.set_xlabel(x, size=9, color=QUIET)
    axes.set_ylabel(y, size=9, color=QUIET)
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cccccc")
