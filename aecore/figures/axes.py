"""How Axes with numbers look."""

from __future__ import annotations

from matplotlib.axes import Axes

from aecore.figures.grid import INK, QUIET


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
