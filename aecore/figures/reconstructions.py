"""Test images above what the autoencoder makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Generator, Tensor

from aecore.figures.grid import ACCENT, INK, QUIET, image_grid, new_figure
from aecore.figures.view import Picture, View, need_images, same_images, spread
from aecore.words import PositiveInt, word

_NOISE = "noise in training"  # reconstructed is the clean image


class Reconstructions(Picture):
    """Rows of inputs, what noise makes of them where there is noise, and reconstructions.

    columns: images side by side. rows: how many such blocks below each other.
    The classes are covered evenly. Under each reconstruction stands its squared error per pixel
    (of the clean input).
    """

    @word
    def __init__(self, *, columns: PositiveInt, rows: PositiveInt) -> None:
        self.columns = columns
        self.rows = rows

    @torch.no_grad()
    def __call__(self, view: View) -> Figure:
        """Draw; a table's rows are drawn as lines over its columns."""
        generator = view.generator()
        x = _chosen(view, self.columns * self.rows, generator)
        output = view.model.reconstruct(x)
        noisy = view.model.corrupt(x, generator) if view.model.noise.active else None
        error = (output - x).square().flatten(1).mean(1).cpu()
        if view.is_table:
            return line_grid(x.flatten(1).cpu(), output.flatten(1).cpu(), error, self.columns)
        return self._images(x, noisy, output, error)

    @torch.no_grad()
    def together(self, views: Mapping[str, View]) -> Figure:
        """The same images in the first row, then what each run makes of them.

        What noise makes of them in training stands below the first row where that is the same for
        all that have noise, else above the row of its run. Reconstructed are the clean images, and
        the error is that of those shown.
        Raises NotApplicable for tables and where the runs' test images differ.
        """
        first = same_images(views)
        need_images(first)
        x = _chosen(first, self.columns, first.generator())
        noisy = {
            name: view.model.corrupt(x, first.generator())
            for name, view in views.items()
            if view.model.noise.active
        }
        some = next(iter(noisy.values()), x)
        shared = len(noisy) > 1 and all(torch.equal(n, some) for n in noisy.values())
        few = "" if len(noisy) == len(views) else f"\n({len(noisy)} of {len(views)} runs)"
        rows, labels = ([x, some], ["input", _NOISE + few]) if shared else ([x], ["input"])
        gaps = [len(rows) - 1]
        for name, view in views.items():
            if name in noisy and not shared:
                rows.append(noisy[name])
                labels.append(_NOISE)
            output = view.model.reconstruct(x)
            error = float((output - x).square().mean())
            rows.append(output)
            labels.append("\n".join([*name.split(" · "), f"mse {error:.4f}"]))
            gaps += [len(rows) - 1] if noisy and not shared else []
        title = "Reconstructions of the same images, with their mean squared error per pixel"
        return image_grid(rows, title=title, labels=labels, gaps=gaps)

    def _images(self, x: Tensor, noisy: Tensor | None, output: Tensor, error: Tensor) -> Figure:
        rows: list[Tensor] = []
        labels: list[str] = []
        captions: list[list[str]] = []
        for block in range(0, len(x) - len(x) % self.columns or len(x), self.columns):
            part = slice(block, block + self.columns)
            kinds = {"input": x, "noisy": noisy, "reconstruction": output}
            for name, images in kinds.items():
                if images is None:
                    continue
                rows.append(images[part])
                labels.append(name)
                captions.append([])
            captions[-1] = [f"{value:.4f}" for value in error[part].tolist()]
        step = 2 if noisy is None else 3
        return image_grid(
            rows,
            title="Reconstructions, with the squared error per pixel",
            labels=labels,
            captions=captions,
            gaps=range(step - 1, len(rows), step),
        )


def _chosen(view: View, count: int, generator: Generator) -> Tensor:
    """Up to `count` of the images (N, C, H, W), by class."""
    chosen = spread(view.labels, len(view.images), count, generator)
    if view.labels is not None:
        chosen = chosen[view.labels.cpu()[chosen].argsort(stable=True)]
    return view.images[chosen.to(view.images.device)]


def line_grid(x: Tensor, output: Tensor, error: Tensor, columns: int) -> Figure:
    """Rows of a table against their reconstructions, one small Axes each.

    x, output: (N, D). error: (N,), the squared error per value.
    """
    columns = min(columns, len(x), 5)
    rows = -(-len(x) // columns)
    figure = new_figure(1 + 1.9 * columns, 0.7 + 1.5 * rows, constrained=True)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    marker = "o" if x.shape[1] <= 40 else ""
    for axes in grid.flat[len(x) :]:
        axes.set_axis_off()
    for n, axes in enumerate(grid.flat[: len(x)]):
        style = {"marker": marker, "markersize": 2.5, "linewidth": 1.2}
        axes.plot(x[n].numpy(), color=INK, label="input", **style)
        axes.plot(output[n].numpy(), color=ACCENT, label="reconstruction", alpha=0.85, **style)
        axes.set_title(f"{error[n].item():.2g}", size=8, color=QUIET)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.tick_params(labelsize=7, colors=QUIET)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#cccccc")
    figure.suptitle("Reconstructions, with the squared error per value", size=11, color=INK)
    figure.supxlabel("column", size=9, color=QUIET)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", ncols=2, frameon=False, fontsize=8)
    return figure
