"""The rate-distortion curve of a code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from aecore.evaluation.figures.axes import finish, logarithmic, single
from aecore.evaluation.figures.grid import ACCENT, INK, QUIET

Point = tuple[float, float]  # bits per pixel, PSNR in dB
# where a text may stand, in 1/72 inch from its point; that of the curve's end behind it
_END = ((7, 0), "left", "center")
_PLACES = (
    ((0, 5), "center", "bottom"),
    ((0, -5), "center", "top"),
    ((-5, 4), "right", "bottom"),
    ((6, -4), "left", "top"),
)
_AIR = 3  # pixels between two texts


def rate_distortion(
    curve: Sequence[tuple[str, Point]],
    points: Mapping[str, Point],
    rates: Mapping[str, float],
    title: str,
) -> Figure:
    """PSNR against bits per pixel, these on a logarithmic axis; what costs nothing is left out.

    curve: rounded codes, each with a label if there is room. points: other codes, by
    name. rates: of formats without loss, as lines.
    """
    figure, axes = single(7.2, 4.6)
    shown = [(text, point) for text, point in curve if point[0] > 0]
    if shown:
        x, y = zip(*(point for _, point in shown), strict=True)
        label = "code, rounded to a step"
        axes.plot(x, y, "o-", color="#3d85c6", markersize=5, linewidth=1.5, label=label)
    others = {name: point for name, point in points.items() if point[0] > 0}
    for (name, point), marker in zip(others.items(), "sD*^", strict=False):
        axes.plot(*point, marker, color=INK, markersize=7, label=name)
    for (name, rate), line in zip(rates.items(), ("-", "--", ":"), strict=False):
        axes.axvline(rate, color=ACCENT, linestyle=line, linewidth=1.3, label=name)
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    logarithmic(axes.xaxis)
    finish(axes, title=title, x="bits per pixel", y="PSNR (dB)")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8.5, labelcolor=INK)
    figure.draw_without_rendering()  # positions of points are final only now
    _label(axes, shown, list(others.values()))
    return figure


def _label(axes: Axes, curve: Sequence[tuple[str, Point]], others: Sequence[Point]) -> None:
    """Write the labels of points, from the end of the curve, where nothing else is drawn.

    A text that has no room, or only where it would seem another point's, is left out.
    """
    if not curve:
        return
    dots = axes.transData.transform([*(point for _, point in curve), *others])
    line = [np.linspace(a, b, 50) for a, b in pairwise(dots[: len(curve)])]
    taken = [_box(dot, 4) for dot in dots] + [_box(dot, 1) for dot in np.concatenate([dots, *line])]
    for n, (text, point) in reversed([*enumerate(curve)]):
        for offset, ha, va in (_END, *_PLACES) if n == len(curve) - 1 else _PLACES:
            label = axes.annotate(text, point, offset, textcoords="offset points", size=8,
                                  color=QUIET, ha=ha, va=va)  # fmt: skip
            label.set_in_layout(False)
            box = label.get_window_extent()
            middle = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
            away = np.hypot(*(dots[: len(curve)] - middle).T)
            if away[n] == away.min() and not box.count_overlaps(taken):
                taken.append(box.padded(_AIR))
                break
            label.remove()


def _box(dot: np.ndarray, reach: float) -> Bbox:
    """The box within `reach` pixels of a position (2,)."""
    return Bbox([dot - reach, dot + reach])
