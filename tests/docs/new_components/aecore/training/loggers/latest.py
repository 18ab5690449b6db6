"""The latest values only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from aecore.config.component import NonNegativeInt, component
from aecore.runs.files import make_folder, write_atomically
from aecore.training.loggers.base import RunLogger


class Latest(RunLogger):
    """The latest value of each metric, in `folder/latest.json`."""

    @component
    def __init__(self, *, folder: Path, purge_step: NonNegativeInt | None) -> None:
        super().__init__(folder, purge_step)
        self._values: dict[str, float] = {}

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Replace the values."""
        self._values |= metrics
        make_folder(self.folder)
        write_atomically(self.folder / "latest.json", json.dumps(self._values).encode())
