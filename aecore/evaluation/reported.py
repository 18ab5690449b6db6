"""Descriptions of the values that metrics report. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple


class Reported(NamedTuple):
    """The description of a value of a metric.

    higher_is_better: None where neither higher nor lower is better.
    unit: printed after the value. table_unit: the same for tables, None if equal.
    depends_on: keys of the configuration that must agree for two runs to report the same quantity,
        besides the data set and the options of the metric itself.
    """

    higher_is_better: bool | None = None
    unit: str = ""
    table_unit: str | None = None
    depends_on: tuple[str, ...] = ()


def find_reported(reports: Mapping[str, Reported], key: str) -> Reported | None:
    """The description of a key, None if unknown; a key such as `auroc_*` is a pattern."""
    if key in reports:
        return reports[key]
    return next((r for pattern, r in reports.items() if fnmatchcase(key, pattern)), None)


_NATS = "nats per image"
_BOUND = Reported(False, depends_on=("reconstruction", "objective"))

ERRORS = {
    "mse": Reported(False, "per pixel, on [0, 1]", "per feature, in the units of the table"),
    "psnr": Reported(True, "dB"),
    "ssim": Reported(True, "at most 1"),
}
# of every model; a divergence (`kl`) has no better side: it is 0 where the code ignores the image
CLEAN = {
    **ERRORS,
    "elbo": Reported(True, _NATS, depends_on=("reconstruction",)),
    "kl": Reported(None, _NATS),
    "loss": Reported(False, depends_on=("reconstruction", "penalty", "objective", "latent")),
    "reconstruction": Reported(False, depends_on=("reconstruction",)),
    "l1": Reported(False),
    "mean_image_mse": Reported(None, "of the mean image", "of the mean row"),
    "input_mse": Reported(None, "of the inputs themselves"),  # of images with targets
    **dict.fromkeys(("iwae", "miwae", "ciwae"), _BOUND),
}
NOISY = {**ERRORS, "input_mse": Reported(None, "of the noisy input itself")}
COMMON = {**NOISY, **CLEAN}
