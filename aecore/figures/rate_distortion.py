"""What a code costs against how good its images are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from aecore.figures.axes import finish, logarithmic
from aecore.figures.grid import ACCENT, INK, QUIET, new_figure

Point = tuple[float, float]  # bits per pixel, PSNR in dB


def rate_distortion(
    curve: Sequence[tuple[str, Point]],
    points: Mapping[str, Point],
    rates: Mapping[str, float],
    title: str,
) -> Figure:
    """PSNR against bits per pixel, these on a logarithmic axis; what costs nothing is left out.

    curve: rounded codes, each with a text beside it. points: other codes, by name. rates: of
    formats without loss, as lines.
    """
    figure = new_figure(7.2, 4.6, constrained=True)
    axes = figure.subplots()
    shown = [(text, point) for text, point in curve if point[0] > 0]
    if shown:
        x, y = zip(*(point for _, point in shown), strict=True)
        axes.plot(
            x,
            y,
            "o-",
            color="#3d85c6",
            markersize=5,
            linewidth=1.5,
            label="code, rounded to a step",
        )
    for n, (text, point) in enumerate(shown):  # on both sides by turns, or they would meet
        beside, how = ((6, -10), "left") if n % 2 else ((-5, 4), "right")
        axes.annotate(text, point, beside, textcoords="offset points", size=8, color=QUIET,
                      ha=how)  # fmt: skip
    for (name, point), marker in zip(points.items(), "sD*^", strict=False):
        if point[0] > 0:
            axes.plot(*point, marker, color=INK, markersize=7, label=name)
    for (name, rate), line in zip(rates.items(), ("-", "--", ":"), strict=False):
        axes.axvline(rate, color=ACCENT, linestyle=line, linewidth=1.3, label=name)
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    logarithmic(axes.xaxis)
    finish(axes, title=title, x="bits per pixel", y="PSNR (dB)")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8.5, labelcolor=INK)
    return figure
