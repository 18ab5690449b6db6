"""What a metric is given, and what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import ClassVar, NamedTuple

from aecore.evaluation.trial import Trial


class Reported(NamedTuple):
    """What a value that a metric reports means.

    higher_is_better: None where neither higher nor lower is better.
    unit: printed beside the value. table_unit: the same for tables, None where it is equal.
    depends_on: keys of the configuration that must agree for two runs to report the same quantity,
        besides the data set and the options of the metric itself.
    """

    higher_is_better: bool | None = None
    unit: str = ""
    table_unit: str | None = None
    depends_on: tuple[str, ...] = ()


class Metric(ABC):
    """A metric of a trained model; called under `torch.no_grad`.

    Two calls with the same trial are equal bit for bit.

    reports: what is known of its values, by their key; a key such as `auroc_*` is a pattern.
    """

    reports: ClassVar[Mapping[str, Reported]] = {}

    @abstractmethod
    def __call__(self, trial: Trial) -> dict[str, float]:
        """The values by key; raises SkippedError with a reason where there are none."""


def find_reported(reports: Mapping[str, Reported], key: str) -> Reported | None:
    """What is known of a key, None for nothing."""
    if key in reports:
        return reports[key]
    return next((r for pattern, r in reports.items() if fnmatchcase(key, pattern)), None)
