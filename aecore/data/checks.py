"""Checks of the images that were loaded: their range, how much of it they use, and where."""

from __future__ import annotations

import logging

import torch

from aecore.data.split import Source, Split
from aecore.data.statistics import extremes
from aecore.errors import ConfigError
from aecore.types import is_table

log = logging.getLogger("aecore")
_WHITE = " (of integers dataset.white=NUMBER is the value of white)"
_DARK = 0.25  # share of white below which no pixel of usual images stays
_LOOKED_AT = 4096  # images, to find the largest pixel


def warn_of_darkness(split: Split, source: Source) -> None:
    """Warn of pixels that use little of their range, as 12 bits of 16 do.

    Of tables only those of 8 bits have a range.
    """
    largest = _largest(split)
    if largest is not None and is_table(split.image_shape):
        log.warning(
            "dataset: 8 bits are read as [0, 1], and the largest value is %.4g of 1; %s",
            largest, source.white_hint(largest),
        )  # fmt: skip
    elif largest is not None:
        log.warning(
            "dataset: the images are almost black, their largest pixel is %.4g of 1; %s",
            largest, source.white_hint(largest),
        )  # fmt: skip
    dark = None if split.targets is None else _largest(split.of_targets)
    if dark is not None:
        log.warning(
            "dataset: the targets are almost black, their largest pixel is %.4g of 1; "
            "scale them to the white of the images", dark,
        )  # fmt: skip


def _largest(split: Split) -> float | None:
    """The largest pixel where it is too small for a range up to 1, else None."""
    if split.images.is_floating_point() and is_table(split.image_shape):
        return None
    some = torch.arange(0, len(split), max(len(split) // _LOOKED_AT, 1))
    ends = [split.pixels(part).aminmax() for part in torch.split(some, split.part_size)]
    low, high = min(float(end.min) for end in ends), max(float(end.max) for end in ends)
    return high if low >= 0 and 0 < high <= _DARK else None


def check_unit_range(split: Split, which: str, binarise: str | None) -> None:
    """Raise ConfigError for floats outside [0, 1]. which: the name of the split."""
    if not split.images.is_floating_point():
        return
    low, high = extremes(split)
    if low < 0 or high > 1:
        null = "" if binarise is None else " dataset.binarise=null"
        white = "" if is_table(split.image_shape) else _WHITE
        raise ConfigError(
            "dataset.range", "unit",
            f"the {which} data lie in [{low:.4g}, {high:.4g}], not in [0, 1]",
            f"use dataset.range=standardised{null} reconstruction=mse, or scale them to "
            f"[0, 1]{white}",
        )  # fmt: skip


def check_binarised(split: Split, which: str, binarise: str) -> None:
    """Raise ConfigError for images that cannot be made black and white."""
    if split.targets is not None:
        problem = "images with targets are not made black and white"
        raise ConfigError("dataset.binarise", binarise, problem, "use binary files")
    if split.rows is not None:
        problem = f"the {which} images are kept in a file, and it needs them in memory"
        raise ConfigError("dataset.binarise", binarise, problem, {"dataset.in_memory": True})
