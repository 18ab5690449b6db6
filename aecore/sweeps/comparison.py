"""The comparison of a sweep's jobs: summary.csv, summary.json, report.html and figures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from aecore.compare.compare import Summary, compare
from aecore.config.terminal import show
from aecore.errors import Interrupted
from aecore.runs.sweep import Sweep, read_sweep, title


def compare_sweep(sweep: Sweep, **options: Any) -> Summary:
    """Compare the jobs of a sweep in its folder; options: see `compare`."""
    return compare(sweep.folders, sweep.folder, title=title(sweep), grid=sweep.grid, **options)


@contextmanager
def compared_if_interrupted(sweep: Sweep) -> Iterator[None]:
    """Compare the jobs as they are, and print the table, where a signal ends what is done here."""
    try:
        yield
    except Interrupted:
        latest = read_sweep(sweep.folder) or sweep
        with suppress(OSError):  # the terminal may be gone
            show(compare_sweep(latest).terminal_text)
        raise


class RunningComparison:
    """The comparison while jobs run, in at most a tenth of the time of this process.

    Reading every job after each of them takes long where many are short. The launching process
    compares once more at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ended, self._seconds = -math.inf, 0.0  # of the last comparison

    def update(self) -> None:
        """Compare again, unless the last comparison was a short while ago."""
        began = time.monotonic()
        sweep = read_sweep(self.folder)
        if sweep is not None and began - self._ended >= 9 * self._seconds:
            compare_sweep(sweep)
            self._ended = time.monotonic()
            self._seconds = self._ended - began


running_comparison = cache(RunningComparison)
"""That of a sweep's folder, for all jobs of this process."""
