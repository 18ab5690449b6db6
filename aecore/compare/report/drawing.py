"""Plots of a comparison as SVG images, dark on a transparent ground.

Deterministic: no date, and the identifiers inside depend on what is drawn alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from warnings import catch_warnings, filterwarnings

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from aecore.compare.report.plan import Plan, Series, printable, ticks
from aecore.compare.table import Group
from aecore.compare.values import frozen

# middle tones, to be read on white and on black
COLOURS = (
    "#3d85c6", "#e07b39", "#3a9d6e", "#c8589a", "#8b73d6",
    "#b08d1f", "#2ea3b0", "#d4505f", "#7d8a97", "#78a33a",
)  # fmt: skip
_STYLE = Path(__file__).with_name("report.mplstyle")
_WRITTEN = 100  # cells of a heat map that can hold their number
MOST_ROWS = 40


def draw(plan: Plan, metric: str) -> bytes:
    """One metric as an SVG file."""
    with style.context(_STYLE), catch_warnings():
        filterwarnings("ignore", message=r"Glyph .* missing")  # a browser has more fonts
        figure = Figure()
        if plan.kind != "lines":  # their labels may be long; this takes as long as drawing does
            figure.set_layout_engine("constrained")
        drawing = {"lines": _lines, "heat": _heat, "dots": _dots}[plan.kind]
        drawing(figure, figure.subplots(), plan, metric)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _points(
    series: Series, metric: str, place: Callable[[Group], float | None]
) -> tuple[list[float], list[float], list[float]]:
    """Places, means and deviations (NaN for none) of the groups that have them, by place."""
    placed = [(place(group), group.stats[metric]) for group in series.groups]
    points = sorted(
        (at, stat.mean, stat.std or math.nan)
        for at, stat in placed
        if at is not None and stat.mean is not None
    )
    places, means, deviations = ([point[n] for point in points] for n in range(3))
    return places, means, deviations


def _lines(figure: Figure, axes: Axes, plan: Plan, metric: str) -> None:
    drawn: list[float] = []
    for series in plan.series:
        x, y, deviation = _points(series, metric, lambda group: float(group.values[plan.x]))
        axes.errorbar(
            x, y, deviation, fmt="o-" if series.joined else "o", color=COLOURS[series.colour]
        )
        drawn += y
    _scale_x(axes, [float(value) for value in plan.positions(plan.x)])
    if drawn and 0 < 20 * min(drawn) < max(drawn):
        axes.set_yscale("log")
        few = max(drawn) < 1e3 * min(drawn)  # powers of ten, as few as one
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter("{x:.4g}")
    axes.minorticks_off()
    axes.set_xlabel(printable(plan.x))


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether values are spaced evenly as ratios rather than differences; the first may be 0."""
    positive = np.unique([v for v in values if v > 0])
    if min(values) < 0 or len(positive) < 2 or positive[-1] < 8 * positive[0]:
        return False
    steps, ratios = np.diff(positive), np.diff(np.log(positive))
    return len(positive) == 2 or bool(ratios.std() / ratios.mean() < steps.std() / steps.mean())


def _scale_x(axes: Axes, values: Sequence[float]) -> None:
    if is_logarithmic(values):
        axes.set_xscale("symlog", linthresh=min(v for v in values if v > 0), linscale=0.5)
    if len(values) <= 8:
        axes.set_xticks(values, ticks(values))
    else:
        axes.xaxis.set_major_formatter("{x:g}")


def _dots(figure: Figure, axes: Axes, plan: Plan, metric: str) -> None:
    names = plan.positions(plan.x)[:MOST_ROWS]
    places = {frozen(name): n for n, name in enumerate(names)}
    count = len(plan.series)
    for n, series in enumerate(plan.series):
        y, x, deviation = _points(
            series, metric, lambda group: places.get(frozen(group.values.get(plan.x)))
        )
        shift = (n - (count - 1) / 2) * min(0.14, 0.7 / count)
        axes.errorbar(x, np.add(y, shift), xerr=deviation, fmt="o", color=COLOURS[series.colour])
    figure.set_figheight(0.75 + 0.3 * len(names))
    axes.set_yticks(range(len(names)), ticks(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:.4g}")
    axes.set_xlabel(printable(metric))


def _heat(figure: Figure, axes: Axes, plan: Plan, metric: str) -> None:
    assert plan.y is not None
    columns, rows = plan.positions(plan.x), plan.positions(plan.y)
    cells = np.full((len(rows), len(columns)), np.nan)
    best = set()
    for group in plan.series[0].groups:
        stat = group.stats[metric]
        where = rows.index(group.values[plan.y]), columns.index(group.values[plan.x])
        cells[where] = math.nan if stat.mean is None else stat.mean
        best |= {where} if stat.best else set()
    figure.set_figheight(max(1.6, min(3.6, 0.8 + 0.34 * len(rows))))
    axes.grid(visible=False)
    at_x, at_y = np.arange(len(columns)), np.arange(len(rows))
    mesh = axes.pcolormesh(
        at_x, at_y, cells, shading="nearest", cmap="Blues", edgecolors="face", lw=0.3
    )
    if cells.size <= _WRITTEN:
        _write_cells(axes, cells, mesh.to_rgba(cells)[..., :3], best)
    for axis, at, values in ((axes.xaxis, at_x, columns), (axes.yaxis, at_y, rows)):
        every = -(-len(values) // 12)
        axis.set_ticks(at[::every], ticks(values[::every]))
    axes.set_xlabel(printable(plan.x))
    axes.set_ylabel(printable(plan.y))


def _write_cells(
    axes: Axes, cells: np.ndarray, colours: np.ndarray, best: Set[tuple[int, int]]
) -> None:
    """The number in each cell, dark on light and light on dark; the best in bold."""
    dark = colours @ np.array([0.299, 0.587, 0.114]) < 0.5
    for row, column in zip(*np.nonzero(np.isfinite(cells)), strict=True):
        ink = "#f8f8f8" if dark[row, column] else "#111111"
        weight = "bold" if (row, column) in best else "normal"
        text = f"{cells[row, column]:.4g}"
        axes.text(column, row, text, color=ink, size=8, ha="center", va="center", weight=weight)
