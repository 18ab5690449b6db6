"""`task=compress`: rate and distortion of codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from matplotlib.figure import Figure
from pydantic import Field

from aecore.config.component import PositiveFloat, PositiveInt
from aecore.config.terminal import say
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.evaluation.figures.draw import save
from aecore.evaluation.figures.rate_distortion import rate_distortion
from aecore.evaluation.metrics.compression import pixel_bits
from aecore.evaluation.metrics.images import squared_error
from aecore.runs.text_table import table
from aecore.tasks.compressing.lossless import PNG_FRAME, as_stored, png_bytes, zlib_bytes
from aecore.tasks.compressing.rates import Row, code_rows
from aecore.tasks.files import write_rows
from aecore.tasks.use import Opened, Use
from aecore.types import is_table

_HEADER = ["", "fixed length", "entropy coded", "bits/pixel", "mse", "PSNR"]


class Compress(Use):
    """Writes compress.csv, a row for each way to store images, and rate_distortion.png.

    Bits are those of an image, in the mean; those of a pixel are of all its channels. Beside the
    codes stand PNG and zlib of the raw pixels, which lose nothing of 256 levels. Not counted are
    the model itself and the tables of the entropy coder.

    steps: codes of numbers are rounded to multiples of these, in standard deviations of the codes
    of training images. images: that are stored, at most. training: whose codes tell how often each
    number is seen, at most.
    """

    takes = ("dataset", "split", "resize")

    steps: Annotated[list[PositiveFloat], Field(min_length=1)]
    images: PositiveInt
    training: PositiveInt

    def use(self, opened: Opened) -> dict[str, float]:
        """The run's test images by default."""
        _check(opened)
        whole = opened.images()
        trial = opened.trial(whole).at_most(self.images)
        split = trial.images
        training = opened.trial(opened.scaled(opened.run_data.train)).at_most(self.training)
        codes = code_rows(trial, training, self.steps)
        files = _lossless(split)
        rows = [*codes, *files]
        description = f"{len(split):,} of " * (len(split) < len(whole)) + opened.describe(whole)
        figure = _figure(codes, files, _pixels(opened), description)
        _write(opened, rows)
        save(figure, opened.folder, "rate_distortion")
        say(f"{description}, bits an image:\n\n{_table(rows, _pixels(opened))}\n")
        say(_uncounted(opened, len(training)))
        say(f"table  {opened.folder / 'compress.csv'}")
        say(f"plot   {opened.folder / 'rate_distortion.png'}")
        return {}


def _pixels(opened: Opened) -> int:
    """Of an image, whatever its channels."""
    return opened.ae.image_shape[1] * opened.ae.image_shape[2]


def _check(opened: Opened) -> None:
    """Raise UserError for what has no rate or no distortion."""
    if opened.ae.model.needs_context:
        raise UserError(
            "task=compress: the places of the maxima pass by this code, so it is not all that an "
            "image is made of",
            "use a model with another network, such as network=conv",
        )
    if is_table(opened.ae.image_shape):
        raise UserError(
            "task=compress: the rows of a table have no PNG and no PSNR to compare with",
            "task=evaluate evaluate.metrics=[compression] tells the bits of their codes",
        )


def _write(opened: Opened, rows: list[Row]) -> None:
    pixels = _pixels(opened)
    columns: dict[str, Iterable[object]] = {
        "name": [row.name for row in rows],
        "step": [row.step for row in rows],
        "fixed_bits": [row.fixed for row in rows],
        "coded_bits": [row.coded for row in rows],
        "bits_per_pixel": [row.bits / pixels for row in rows],
        "mse": [row.mse for row in rows],
        "psnr": [row.psnr if row.mse else None for row in rows],
    }
    write_rows(opened.folder / "compress.csv", columns)


def _lossless(split: Split) -> list[Row]:
    """The rows of PNG, if it supports the channels, and of zlib."""
    pixels = split.pixels()
    stored, white = as_stored(pixels), pixel_bits(split) == 1
    lost = float(squared_error(stored / 255, pixels).double().mean())
    lost = lost if lost > 1e-12 else 0.0  # else there were other levels than a file's 256
    rows = [Row("zlib of the pixels", None, 8 * zlib_bytes(stored, white), lost)]
    png = png_bytes(stored, white)
    return rows if png is None else [Row("PNG", None, 8 * png, lost), *rows]


def _table(rows: list[Row], pixels: int) -> str:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    cells = [
        [row.name, cell(row.fixed), cell(row.coded), f"{row.bits / pixels:.4g}",
         f"{row.mse:.4g}", f"{row.psnr:.2f}" if row.mse else ""]
        for row in rows
    ]  # fmt: skip
    return table(_HEADER, cells)


def _uncounted(opened: Opened, training: int) -> str:
    """What the bits do not include."""
    weights = sum(value.numel() for value in opened.ae.model.parameters())
    megabytes = 4 * weights / 1e6
    return (
        f"Not counted: the model ({weights:,} weights, {megabytes:.2g} MB), and how often each "
        f"number was seen in {training:,} training images;\nboth ends must have these. "
        f"Of a PNG file at least {8 * PNG_FRAME} bits are not pixels."
    )


def _figure(codes: list[Row], files: list[Row], pixels: int, title: str) -> Figure:
    lossy = [row for row in codes if row.mse]
    return rate_distortion(
        [(f"{row.step:g}", (row.bits / pixels, row.psnr)) for row in lossy if row.step],
        {row.name: (row.bits / pixels, row.psnr) for row in lossy if not row.step},
        {row.name: row.bits / pixels for row in files},
        title,
    )
