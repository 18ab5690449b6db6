"""The style of Axes with numbers."""

from __future__ import annotations

from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from aecore.evaluation.figures.grid import INK, QUIET, new_figure


def beside_legend(names: Collection[str]) -> tuple[Figure, Axes]:
    """An empty plot with space on the right for a legend of these names."""
    width = 6.8 + 0.09 * max(map(len, names), default=0)
    return single(width, max(4.2, 1.2 + 0.22 * len(names)))


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty plot; sizes in inches."""
    figure = new_figure(width, height, constrained=True)
    return figure, figure.subplots()


def logarithmic(axis: Axis) -> None:
    """Plain tick labels at 1, 2 and 5 times each power of ten.

    For more than three powers of ten only at the powers, so that labels do not overlap.
    Call it after all plotting.
    """
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high <= 1e3 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def finish(axes: Axes, *, title: str, x: str = "", y: str = "", size: int = 11) -> None:
    """Left-aligned title of this size, small axis labels, a faint grid."""
    axes.set_title(title, size=size, color=INK, loc="left")
    axes.set_xlabel(x, size=9, color=QUIET)
    axes.set_ylabel(y, size=9, color=QUIET)
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cccccc")
