"""What a metric is given, and what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from aecore.config.component import Component
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial


class Metric(Component, ABC):
    """A metric of a trained model; called under `torch.no_grad`. Its fields are its options.

    Two calls with the same trial are equal bit for bit.

    reports: what is known of its values, by their key; a key such as `auroc_*` is a pattern.
    """

    reports: ClassVar[Mapping[str, Reported]] = {}

    @abstractmethod
    def __call__(self, trial: Trial) -> dict[str, float]:
        """The values by key; raises SkippedError with a reason where there are none."""
