"""Plots of a comparison as SVG that takes its ink from the page, so that it suits light and dark.

Deterministic: no date, and the identifiers inside depend on what is drawn alone.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from aecore.compare.report.plan import Plan, ticks
from aecore.compare.table import Stat
from aecore.compare.values import frozen, is_number

# middle tones, to be read on white and on black
COLOURS = (
    "#3d85c6", "#e07b39", "#3a9d6e", "#c8589a", "#8b73d6",
    "#b08d1f", "#2ea3b0", "#d4505f", "#7d8a97", "#78a33a",
)  # fmt: skip
_INK = "#010203"  # replaced by the text colour of the page
_WIDTH, _HEIGHT = 4.3, 2.75  # inches
_SIZE = 9.5
_WRITTEN = 100  # cells of a heat map that can hold their number
MOST_ROWS = 40


def draw(plan: Plan, metric: str, key: str) -> str:
    """One metric as `<svg>` for the inside of a page; `key` makes its identifiers unique."""
    with matplotlib.rc_context(
        {"svg.hashsalt": key, "svg.fonttype": "none", "text.parse_math": False,
         "axes.formatter.useoffset": False, "font.size": _SIZE}
    ):  # fmt: skip
        drawing = {"lines": _lines, "heat": _heat, "dots": _dots}[plan.kind]
        figure = drawing(plan, metric)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _inline(text.getvalue(), f"{metric} against {plan.x}")


def _inline(svg: str, name: str) -> str:
    """The bare element: no prologue, no metadata, no name that another plot has too."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"| (width|height)="[\d.]+pt"', "", svg, count=4)
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg).replace(_INK, "currentColor").strip()
    label = name.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _axes(height: float, left: float = 0.62, bottom: float = 0.52) -> tuple[Figure, Axes]:
    figure = Figure((_WIDTH, height))
    FigureCanvasSVG(figure)
    axes = figure.add_axes(
        (left / _WIDTH, bottom / height, 1 - (left + 0.12) / _WIDTH, 1 - (bottom + 0.1) / height)
    )
    axes.tick_params(colors=_INK, labelcolor=_INK, width=0.6, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=_INK, alpha=0.4, linewidth=0.6)
    axes.grid(color=_INK, alpha=0.14, linewidth=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def _lines(plan: Plan, metric: str) -> Figure:
    figure, axes = _axes(_HEIGHT)
    drawn: list[float] = []
    for series in plan.series:
        found = sorted(
            (float(group.values[plan.x]), group.stats[metric])
            for group in series.groups
            if group.stats[metric].mean is not None
        )  # fmt: skip
        if found:
            x, stats = zip(*found, strict=True)
            drawn += [stat.mean for stat in stats]
            _errorbar(axes, x, _means(stats), stats, series.colour, upright=True)
    _scale_x(axes, [float(v) for v in plan.positions(plan.x) if is_number(v)])
    axes.set_xlabel(plan.x, color=_INK, size=_SIZE)
    _scale_y(axes, drawn)
    return figure


def _means(stats: Sequence[Stat]) -> list[float]:
    return [math.nan if stat.mean is None else stat.mean for stat in stats]


def _errorbar(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    stats: Sequence[Stat],
    colour: int,
    *,
    upright: bool,
) -> None:
    spread = [stat.std or 0.0 for stat in stats] if any(stat.std for stat in stats) else None
    axes.errorbar(
        x,
        y,
        xerr=None if upright else spread,
        yerr=spread if upright else None,
        fmt="o-" if upright else "o",
        color=COLOURS[colour],
        markersize=4 if upright else 5,
        linewidth=1.4,
        elinewidth=1,
        capsize=2.5,
    )


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether values are spaced evenly as ratios rather than differences; the first may be 0."""
    positive = np.unique([v for v in values if v > 0])
    if any(v < 0 for v in values) or len(positive) < 2 or positive[-1] < 8 * positive[0]:
        return False

    def unevenness(steps: np.ndarray) -> float:
        return float(steps.std() / steps.mean())

    return len(positive) == 2 or unevenness(np.diff(np.log(positive))) < unevenness(
        np.diff(positive)
    )


def _scale_x(axes: Axes, values: Sequence[float]) -> None:
    if is_logarithmic(values):
        if min(values) > 0:
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=min(v for v in values if v > 0), linscale=0.5)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.minorticks_off()
    if len(values) <= 8:
        axes.set_xticks(values, ticks(values))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _scale_y(axes: Axes, values: Sequence[float]) -> None:
    if values and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def _dots(plan: Plan, metric: str) -> Figure:
    names = plan.positions(plan.x)[:MOST_ROWS]
    place = {frozen(name): n for n, name in enumerate(names)}
    labels = ticks(names)
    left = 0.2 + 0.08 * max(map(len, labels))
    figure, axes = _axes(0.75 + 0.3 * len(names), left=left)
    count = len(plan.series)
    for n, series in enumerate(plan.series):
        shift = (n - (count - 1) / 2) * min(0.14, 0.7 / count)
        found = [
            (place[frozen(group.values.get(plan.x))] + shift, group.stats[metric])
            for group in series.groups
            if group.stats[metric].mean is not None and frozen(group.values.get(plan.x)) in place
        ]
        if found:
            y, stats = zip(*found, strict=True)
            _errorbar(axes, _means(stats), y, stats, series.colour, upright=False)
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.set_xlabel(metric, color=_INK, size=_SIZE)
    return figure


def _heat(plan: Plan, metric: str) -> Figure:
    assert plan.y is not None
    columns, rows = plan.positions(plan.x), plan.positions(plan.y)
    cells = np.full((len(rows), len(columns)), np.nan)
    best = []
    for group in plan.series[0].groups:
        stat = group.stats[metric]
        where = rows.index(group.values[plan.y]), columns.index(group.values[plan.x])
        cells[where] = math.nan if stat.mean is None else stat.mean
        if stat.best:
            best.append(where)
    figure, axes = _axes(max(1.6, min(3.6, 0.8 + 0.34 * len(rows))), left=0.7)
    axes.grid(visible=False)
    mesh = axes.pcolormesh(np.ma.masked_invalid(cells), cmap="viridis", edgecolors="face", lw=0.3)
    if cells.size <= _WRITTEN:
        _write_cells(axes, cells, mesh.to_rgba(cells)[..., :3], best)
    axes.set_xticks(np.arange(len(columns)) + 0.5, ticks(columns))
    axes.set_yticks(np.arange(len(rows)) + 0.5, ticks(rows))
    for axis in (axes.xaxis, axes.yaxis):
        every = -(-len(axis.get_ticklocs()) // 12)
        for n, tick in enumerate(axis.get_major_ticks()):
            tick.set_visible(n % every == 0)
    axes.set_xlabel(plan.x, color=_INK, size=_SIZE)
    axes.set_ylabel(plan.y, color=_INK, size=_SIZE)
    return figure


def _write_cells(
    axes: Axes, cells: np.ndarray, colours: np.ndarray, best: Sequence[tuple[int, int]]
) -> None:
    """The number in each cell, dark on light and light on dark; the best in bold."""
    bright = colours @ np.array([0.299, 0.587, 0.114])
    for row, column in zip(*np.nonzero(np.isfinite(cells)), strict=True):
        ink = "#111111" if bright[row, column] > 0.5 else "#f8f8f8"
        weight = "bold" if (row, column) in best else "normal"
        axes.text(column + 0.5, row + 0.5, f"{cells[row, column]:.4g}", color=ink, size=8,
                  ha="center", va="center", weight=weight)  # fmt: skip
