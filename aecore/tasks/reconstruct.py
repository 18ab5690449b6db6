"""`task=reconstruct`: reconstructions of images; with a noise, denoising."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.component import PositiveInt
from aecore.config.terminal import say
from aecore.data.split import Split
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.reconstructions import blocks, error_heads, line_grid
from aecore.evaluation.metrics.anomaly_score import Units, error_unit, feature_errors, row_error
from aecore.evaluation.selection import balanced
from aecore.evaluation.trial import element_of
from aecore.tasks.files import (
    class_names,
    error_columns,
    numbers,
    png_names,
    write_image,
    write_rows,
    write_table,
)
from aecore.tasks.use import Opened, Use
from aecore.types import is_table


@dataclass(frozen=True)
class Trip:
    """Some images (n, C, H, W), pixels on the CPU, the first of them the `first`th of its split.

    clean: without noise, or the targets. seen: the input of the model. output: the reconstruction.
    """

    first: int
    clean: Tensor
    seen: Tensor
    output: Tensor

    def those(self, chosen: Tensor) -> Tensor:
        """Of the images at `chosen`, places in the split, those that are here: (3, m, C, H, W)."""
        here = chosen[(chosen >= self.first) & (chosen < self.first + len(self.clean))] - self.first
        return torch.stack([x[here] for x in (self.clean, self.seen, self.output)])


class Reconstruct(Use):
    """Writes reconstructions of images, errors.csv, and comparison.png of some of them.

    Each reconstruction is a PNG in images/, under the image's own name; the rows of a table go to
    reconstructions.npz, as `x` (N, D), their classes as `y`. Errors are mean squared errors per
    pixel on [0, 1], of a table per feature, standardised as the model sees it unless
    `units=data`; with a noise against the clean image, and `input_mse` is that of the noisy one.
    Of a table whose columns have names there is the squared error of each, `error_NAME`.

    images: whether reconstructions are written. columns, rows: of comparison.png.
    """

    takes = ("dataset", "split", "resize", "noise")

    images: bool
    units: Units
    columns: PositiveInt
    rows: PositiveInt

    def use(self, opened: Opened) -> dict[str, float]:
        """The run's test images by default."""
        split = opened.images()
        noisy = opened.noise is not None or split.targets is not None
        table, model = is_table(split.image_shape), opened.ae.model
        files = png_names(opened.named(split)) if self.images and not table else []
        count = self.columns * self.rows
        chosen = balanced(split.labels, len(split), count, opened.trial(split).generator())
        errors, shown, values, each = [], [], [], []
        for trip in _trips(opened, split):
            errors.append(
                [row_error(model, x, trip.clean, self.units) for x in (trip.output, trip.seen)]
            )
            shown.append(trip.those(chosen.sort().values))
            if table:
                values.append(trip.output.flatten(1))
                each.append(feature_errors(model, trip.output, trip.clean, self.units))
            elif self.images:
                for image, file in zip(trip.output, files[trip.first :], strict=False):
                    write_image(opened.folder / "images" / file, image)
        mse, input_mse = (torch.cat(found).double() for found in zip(*errors, strict=True))
        folder = opened.folder
        columns = _columns(opened, split, mse, input_mse if noisy else None, files)
        if table:
            columns |= error_columns(split.columns, torch.cat(each))
        write_rows(folder / "errors.csv", columns)
        if table and self.images:
            rows = torch.cat(values)
            write_table(folder / "reconstructions.npz", rows, split.labels, split.columns)
        save(_picture(torch.cat(shown, 1), split, noisy, self.columns), folder, "comparison")
        done = "reconstructed" if opened.noise is None else "denoised"
        unit = error_unit(model, self.units)
        inputs = "noisy ones" if split.targets is None else "inputs"
        note = f", {input_mse.mean():.4g} of the {inputs}" if noisy else ""
        say(f"{opened.describe(split)} {done}, mse {mse.mean():.4g} {unit}{note}")
        if files:
            say(f"images   {folder / 'images'} ({len(files):,} PNG)")
        elif self.images:
            say(f"rows     {folder / 'reconstructions.npz'}")
        say(f"errors   {folder / 'errors.csv'}\npicture  {folder / 'comparison.png'}")
        return {"mse": float(mse.mean())}


def _trips(opened: Opened, split: Split) -> Iterator[Trip]:
    """All images in order."""
    first = 0
    for x, seen, y in opened.inputs(split):
        output = opened.ae.model.reconstruct(seen, y)
        yield Trip(first, x.cpu(), seen.cpu(), output.cpu())
        first += len(x)


def _columns(
    opened: Opened, split: Split, mse: Tensor, input_mse: Tensor | None, files: Sequence[str]
) -> dict[str, Sequence[str]]:
    """Of errors.csv."""
    found: dict[str, Sequence[str]] = {"name": opened.named(split), "mse": numbers(mse)}
    if input_mse is not None:
        found["input_mse"] = numbers(input_mse)
    labels = class_names(split)
    if labels is not None:
        found["label"] = labels
    if files:
        found["file"] = [f"images/{file}" for file in files]
    return found


def _picture(shown: Tensor, split: Split, noisy: bool, columns: int) -> Figure:
    """Some images of a split: clean or as targets, as inputs, reconstructed, (3, m, C, H, W)."""
    clean, seen, output = shown
    paired = split.targets is not None
    done = "Denoised" if noisy and not paired else "Reconstructions"
    title = f"{done}, with the squared error per {element_of(clean.shape[1:])}"
    if is_table(clean.shape[1:]):
        target = clean if paired else seen
        return line_grid(seen, output, target, error_heads(output, clean), columns, title)
    if not noisy:
        return blocks({"input": clean, "reconstruction": output}, clean, columns, title)
    if paired:
        return blocks({"input": seen, "reconstruction": output}, clean, columns, title)
    kinds = {"clean": clean, "noisy": seen, "reconstruction": output}
    return blocks(kinds, clean, columns, title)
