"""How active the hidden layers and the code are."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from aecore.config.component import NonNegativeFloat
from aecore.evaluation.figures.axes import finish
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import INK, new_figure
from aecore.evaluation.metrics.activity import layer_activities
from aecore.evaluation.trial import Trial


class ActivityFigure(TrialFigure):
    """Bars for each hidden layer and the code: the mean of |activation|, the share that is active.

    Layers are seen after their activations, over all test images, without noise and with the
    mean code; active is |activation| > threshold. The last layer, the output, is left out.
    """

    threshold: NonNegativeFloat

    def __call__(self, trial: Trial) -> Figure:
        """Draw; of a model without hidden layers, its code."""
        measured = self.measure(trial)
        names = list(measured)[::-1]  # the first layer on top
        figure = new_figure(7.4, 1.2 + 0.42 * len(names), constrained=True)
        left, right = figure.subplots(1, 2, sharey=True)
        means = [measured[name][0] for name in names]
        shares = [100 * measured[name][1] for name in names]
        colours = ["#d1495b" if name.startswith("code") else "#30638e" for name in names]
        for axes, values, form in ((left, means, "{:.3g}"), (right, shares, "{:.1f} %")):
            bars = axes.barh(names, values, color=colours, height=0.62)
            axes.bar_label(bars, [form.format(v) for v in values], padding=3, fontsize=8,
                           color=INK)  # fmt: skip
            axes.set_xlim(0, 1.22 * max(*values, 1e-12))
        finish(left, title="Mean activation", x="mean of |a|", y="")
        finish(right, title="Active", x=f"share with |a| > {self.threshold:g}", y="")
        right.set_xlim(0, 122)
        right.set_xticks(range(0, 101, 25))
        right.xaxis.set_major_formatter(PercentFormatter())
        for axes in (left, right):
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0, colors=INK)
        return figure

    def measure(self, trial: Trial) -> dict[str, tuple[float, float]]:
        """`layer -> (mean of |activation|, share that is active)`, in the order of the layers."""
        activities = layer_activities(trial, self.threshold)
        return {
            f"{name}  {'x'.join(str(n) for n in a.shape)}": (a.mean, a.active)
            for name, a in activities.items()
        }
