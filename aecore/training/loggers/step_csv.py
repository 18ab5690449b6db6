"""A CSV file with one line per value."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from aecore.config.component import NonNegativeInt, component
from aecore.runs.files import appending, make_folder, write_atomically
from aecore.training.loggers.base import RunLogger


class StepCSV(RunLogger):
    """Lines `step,metric,value` in `folder/steps.csv`.

    With one line per value a metric that appears later needs no new column, and a resumed run
    appends.
    """

    header = ("step", "metric", "value")

    @component
    def __init__(self, *, folder: Path, purge_step: NonNegativeInt | None) -> None:
        super().__init__(folder, purge_step)
        self.path = folder / "steps.csv"
        self._started = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append the values; Lightning's `epoch` is left out."""
        if not self._started:
            self._start()
        with appending(self.path) as file:
            writer = csv.writer(file)
            for key, value in metrics.items():
                if key != "epoch":
                    writer.writerow((step or 0, key, float(value)))

    def _start(self) -> None:
        """Keep the whole lines of a resumed run before the purge step."""
        earlier: list[str] = []
        if self._purge_step is not None and self.path.is_file():
            text = self.path.read_text(errors="replace")
            lines = text[: text.rfind("\n") + 1].splitlines()
            earlier = [line for line in lines if _step(line) < self._purge_step]
        table = io.StringIO(newline="")
        csv.writer(table).writerow(self.header)
        table.writelines(f"{line}\r\n" for line in earlier)
        make_folder(self.folder)
        write_atomically(self.path, table.getvalue().encode())
        self._started = True


def _step(line: str) -> float:
    """The step of a line, infinite where it has none."""
    step, *rest = line.split(",")
    return int(step) if len(rest) >= 2 and len(step) < 16 and step.isdecimal() else math.inf
