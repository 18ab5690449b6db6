"""Test images above their reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.evaluation.figures.axes import finish
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.grid import (
    ACCENT,
    INK,
    QUIET,
    block_grid,
    image_grid,
    new_figure,
    one_line,
    shortened,
)
from aecore.evaluation.metrics.images import squared_error
from aecore.evaluation.trial import Trial, need_images, same_images
from aecore.model.autoencoder import Autoencoder

_LINES = "Reconstructions, with the squared error per feature"
_NAMED, _LETTERS = 20, 16  # columns whose names fit below an axis, letters of a name


class Reconstructions(TrialFigure):
    """Rows of inputs and of their reconstructions, without noise.

    columns: images side by side. rows: number of such blocks.
    The classes are covered evenly. The squared error per pixel stands under each
    reconstruction, that per feature of a table above each row, in the units of the table.
    """

    columns: PositiveInt
    rows: PositiveInt

    def __call__(self, trial: Trial) -> Figure:
        """Draw; a table's rows are drawn as lines over its columns."""
        x, y, target = by_class(trial, self.columns * self.rows).pair()
        output = trial.model.reconstruct(x, y)
        if trial.is_table:
            heads = error_heads(output, target)
            return line_grid(
                trial.model, x, output, target, heads, self.columns, names=trial.images.columns
            )
        title = "Reconstructions, with the squared error per pixel"
        kinds = {"input": x, "reconstruction": output}
        return blocks(kinds, target, self.columns, title)

    def draw_runs(self, trials: Mapping[str, Trial]) -> Figure:
        """The same images in the first row, then the reconstructions of each run, with their error.

        Raises SkippedError for tables and where the runs' test images differ.
        """
        first = same_images(trials)
        need_images(first)
        x, y, target = by_class(first, self.columns).pair()
        outputs = {name: trial.model.reconstruct(x, y) for name, trial in trials.items()}
        rows, labels = [x, *outputs.values()], ["input", *labelled(outputs, target)]
        if target is not x:
            rows, labels = [*rows, target], [*labels, "target"]
        title = "Reconstructions of the same images, with their mean squared error per pixel"
        return image_grid(rows, title=title, labels=labels, gaps=[0])


def blocks(kinds: Mapping[str, Tensor], truth: Tensor, columns: int, title: str) -> Figure:
    """Rows of images (N, C, H, W), kind below kind, in blocks of so many columns.

    truth: one of the kinds, or else shown below them as the target: under the others stands their
        squared error per pixel to it.
    """
    if not any(images is truth for images in kinds.values()):
        kinds = {**kinds, "target": truth}
    errors = {
        name: [f"{error:.4f}" for error in squared_error(images, truth).tolist()]
        for name, images in kinds.items()
        if images is not truth
    }
    shown = {name: (images, errors.get(name, ())) for name, images in kinds.items()}
    return block_grid(shown, columns, title)


def labelled(outputs: Mapping[str, Tensor], x: Tensor) -> list[str]:
    """The name of each run with the error of its outputs against x, all (N, C, H, W)."""
    return [
        "\n".join([*name.split(" · "), f"mse {float(squared_error(output, x).mean()):.4f}"])
        for name, output in outputs.items()
    ]


def error_heads(output: Tensor, x: Tensor) -> list[str]:
    """The error of each row of a table (N, 1, 1, D), as it stands above its lines."""
    return [f"{error:.2g}" for error in squared_error(output, x).tolist()]


def by_class(trial: Trial, count: int) -> Trial:
    """The trial with up to `count` images, evenly over the classes and ordered by class."""
    chosen = trial.balanced(count)
    labels = chosen.images.labels
    return chosen if labels is None else chosen.at(labels.cpu().argsort(stable=True))


def line_grid(
    model: Autoencoder,
    x: Tensor,
    output: Tensor,
    target: Tensor,
    heads: Sequence[str],
    columns: int,
    title: str = _LINES,
    names: Sequence[str] | None = None,
) -> Figure:
    """Rows of a table against their reconstructions, and their targets, one small Axes each.

    Where the model standardises the columns, so are they drawn: each is then seen.

    x, output, target: (N, 1, 1, D), the target x itself where there is no other.
    heads: N texts, what stands above each. names: of the D columns, written where they are few.
    """
    shown = {"input": (x, INK), "reconstruction": (output, ACCENT)}
    if target is not x:
        shown["target"] = target, QUIET
    lines = {
        label: (model.normalise(values.to(model.shift.device)).flatten(1).cpu().numpy(), colour)
        for label, (values, colour) in shown.items()
    }
    columns = min(columns, len(x), 5)
    rows = -(-len(x) // columns)
    figure = new_figure(1 + 1.9 * columns, 0.7 + 1.5 * rows, constrained=True)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    marker = "o" if x.shape[-1] <= 40 else ""
    for axes in grid.flat[len(x) :]:
        axes.set_axis_off()
    for n, axes in enumerate(grid.flat[: len(x)]):
        style = {"marker": marker, "markersize": 2.5, "linewidth": 1.2}
        for label, (values, colour) in lines.items():
            axes.plot(values[n], color=colour, label=label, **style)
        finish(axes, title=heads[n], size=8)
        if names is None or len(names) > _NAMED:
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        else:
            labels = [shortened(one_line(name), _LETTERS) for name in names]
            axes.set_xticks(range(len(names)), labels, rotation=90, parse_math=False)
    figure.suptitle(title, size=11, color=INK)
    figure.supxlabel("column", size=9, color=QUIET)
    figure.supylabel("standardised value" if model.standardised else "value", size=9, color=QUIET)
    handles, kinds = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, kinds, loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    return figure
