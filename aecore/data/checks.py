"""Checks of the images that were loaded: their range, how much of it they use, and where."""

from __future__ import annotations

import logging

import torch

from aecore.data.split import Source, Split
from aecore.data.statistics import extremes
from aecore.errors import ConfigError

log = logging.getLogger("aecore")
_DARK = 0.25  # share of white below which no pixel of usual images stays
_LOOKED_AT = 4096  # images, to find the largest pixel


def warn_of_darkness(split: Split, source: Source) -> None:
    """Warn of pixels that use little of their range, as 12 bits of 16 do."""
    some = torch.arange(0, len(split), max(len(split) // _LOOKED_AT, 1))
    largest = max(float(split.pixels(part).max()) for part in torch.split(some, split.part_size))
    if 0 < largest <= _DARK:
        log.warning(
            "dataset: the images are almost black, their largest pixel is %.4g of 1; use %s",
            largest, source.white_hint(largest),
        )  # fmt: skip


def check_unit_range(split: Split, which: str, binarise: str | None) -> None:
    """Raise ConfigError for floats outside [0, 1]. which: the name of the split."""
    if not split.images.is_floating_point():
        return
    low, high = extremes(split)
    if low < 0 or high > 1:
        null = "" if binarise is None else " dataset.binarise=null"
        raise ConfigError(
            "dataset.range", "unit",
            f"the {which} data lie in [{low:.4g}, {high:.4g}], not in [0, 1]",
            f"use dataset.range=standardised{null} reconstruction=mse, or scale them to "
            "[0, 1] (of integers dataset.white=NUMBER is the value of white)",
        )  # fmt: skip


def check_binarised(split: Split, which: str, binarise: str) -> None:
    """Raise ConfigError for images that cannot be made black and white."""
    if split.targets is not None:
        problem = "images with targets are not made black and white"
        raise ConfigError("dataset.binarise", binarise, problem, "use binary files")
    if split.rows is not None:
        problem = f"the {which} images are kept in a file, and it needs them in memory"
        raise ConfigError("dataset.binarise", binarise, problem, {"dataset.in_memory": True})
