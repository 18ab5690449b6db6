"""`task=reconstruct`: reconstructions of images; with a noise, denoising."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from aecore.config.component import PositiveInt
from aecore.config.terminal import say
from aecore.data.split import Split
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.grid import block_grid
from aecore.evaluation.figures.reconstructions import error_heads, line_grid
from aecore.evaluation.metrics.anomaly_score import Units, error_unit, feature_errors, row_error
from aecore.evaluation.selection import balanced, class_names
from aecore.evaluation.trial import element_of
from aecore.model.autoencoder import Autoencoder
from aecore.tasks.files import (
    error_columns,
    numbers,
    png_names,
    write_image,
    write_rows,
    write_table,
)
from aecore.tasks.own_sizes import SizedImages, images_of_any_size
from aecore.tasks.use import Opened, Use
from aecore.types import is_series, is_table


@dataclass(frozen=True)
class Trip:
    """Some images (n, C, H, W), pixels on the CPU.

    places: (n,) int64, where they stand among all images.
    clean: without noise, or the targets. seen: the input of the model. output: the reconstruction.
    """

    places: Tensor
    clean: Tensor
    seen: Tensor
    output: Tensor

    def those(self, chosen: Collection[int]) -> dict[int, Tensor]:
        """Of the images at `chosen`, places among all, those that are here: (3, C, H, W) each."""
        return {
            place: torch.stack([x[i] for x in (self.clean, self.seen, self.output)])
            for i, place in enumerate(self.places.tolist())
            if place in chosen
        }


class Reconstruct(Use):
    """Writes reconstructions of images, errors.csv, and comparison.png of some of them.

    Each reconstruction is a PNG in images/, under the image's own name and, of a fully
    convolutional model, in its own size; the rows of a table go to reconstructions.npz, as `x`
    (N, D), their classes as `y`, and so do series of several channels, (N, C, T), in the units of
    the data. Errors are mean squared errors per pixel on [0, 1], of a table per feature,
    standardised as the model sees it unless `units=data`; with a noise against the clean image,
    and `input_mse` is that of the noisy one; of images with targets against these. Of a table
    whose columns have names there is the squared error of each, `error_NAME`.

    images: whether reconstructions are written. columns, rows: of comparison.png.
    """

    takes = ("dataset", "split", "resize", "noise")

    images: bool
    units: Units
    columns: PositiveInt
    rows: PositiveInt

    def use(self, opened: Opened) -> dict[str, float]:
        """The run's test images by default."""
        images = images_of_any_size(opened)
        split, noisy = images.all, opened.noise is not None or images.paired
        model = opened.ae.model
        table, series = is_table(split.image_shape), is_series(split.image_shape)
        files = png_names(opened.named(split)) if self.images and not (table or series) else []
        count = self.columns * self.rows
        draws = opened.trial(split).generator()
        chosen = {*balanced(split.labels, len(split), count, draws).tolist()}
        errors = torch.empty(2, len(split), dtype=torch.float64)
        shown: dict[int, Tensor] = {}
        values, each = [], []
        for trip in _trips(opened, images):
            for column, x in zip(errors, (trip.output, trip.seen), strict=True):
                column[trip.places] = row_error(model, x, trip.clean, self.units).double()
            shown |= trip.those(chosen)
            if series:
                values.append(_unscaled(trip.output[:, :, 0], opened.limits))
            elif table:
                values.append(trip.output.flatten(1))
                each.append(feature_errors(model, trip.output, trip.clean, self.units))
            elif self.images:
                for image, place in zip(trip.output, trip.places.tolist(), strict=True):
                    write_image(opened.folder / "images" / files[place], image)
        (mse, input_mse), folder = errors, opened.folder
        columns = _columns(opened, split, mse, input_mse if noisy else None, files)
        if table:
            columns |= error_columns(split.columns, torch.cat(each))
        write_rows(folder / "errors.csv", columns)
        if values and self.images:
            rows = torch.cat(values)
            write_table(folder / "reconstructions.npz", rows, split.labels, split.columns)
        errors = errors if noisy else errors[:1]
        picture = _picture(model, shown, errors, images.paired, self.columns, split.columns)
        save(picture, folder, "comparison")
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


def _trips(opened: Opened, images: SizedImages) -> Iterator[Trip]:
    """All images, group after group."""
    places = images.places
    for x, seen, y in opened.inputs(*(split for _, split in images.groups)):
        output = images.reconstruct(seen, y)
        yield Trip(places[: len(x)], x.cpu(), seen.cpu(), output.cpu())
        places = places[len(x) :]


def _unscaled(values: Tensor, limits: Tensor | None) -> Tensor:
    """Values on [0, 1] in the units of the data."""
    if limits is None:
        return values
    low, high = limits.cpu()
    restored: Tensor = low + values * (high - low)
    return restored


def _columns(
    opened: Opened, split: Split, mse: Tensor, input_mse: Tensor | None, files: Sequence[str]
) -> dict[str, Sequence[str]]:
    """Of errors.csv."""
    columns: dict[str, Sequence[str]] = {"name": opened.named(split), "mse": numbers(mse)}
    if input_mse is not None:
        columns["input_mse"] = numbers(input_mse)
    labels = class_names(split)
    if labels is not None:
        columns["label"] = labels
    if files:
        columns["file"] = [f"images/{file}" for file in files]
    return columns


def _picture(
    model: Autoencoder,
    shown: Mapping[int, Tensor],
    errors: Tensor,
    paired: bool,
    columns: int,
    names: Sequence[str] | None,
) -> Figure:
    """Some images by their places: clean or targets, as inputs, reconstructed, (3, C, H, W).

    errors: (1, N) of all reconstructions; with a noise or targets also those of the inputs, (2, N).
    names: of the columns of a table.
    """
    noisy, places = len(errors) > 1, sorted(shown)
    clean, seen, output = _of_one_size([shown[place] for place in places])
    done = "Denoised" if noisy and not paired else "Reconstructions"
    title = f"{done}, with the squared error per {element_of(clean.shape[1:])}"
    if is_table(clean.shape[1:]):
        target = clean if paired else seen
        heads = error_heads(output, clean)
        return line_grid(model, seen, output, target, heads, columns, title, names)
    texts = [[f"{error:.4f}" for error in column.tolist()] for column in errors[:, places]]
    made = output, texts[0]
    if paired:
        kinds = {"input": (seen, texts[1]), "reconstruction": made, "target": (clean, ())}
    elif noisy:
        kinds = {"clean": (clean, ()), "noisy": (seen, texts[1]), "reconstruction": made}
    else:
        kinds = {"input": (clean, ()), "reconstruction": made}
    return block_grid(kinds, columns, title)


def _of_one_size(images: Sequence[Tensor]) -> Tensor:
    """Images (3, C, H, W) in the largest of their sizes, white around them: (3, N, C, H, W)."""
    height, width = (max(x.shape[axis] for x in images) for axis in (2, 3))
    padded = [F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), value=1.0) for x in images]
    return torch.stack(padded, 1)
