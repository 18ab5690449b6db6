"""The comparison of a sweep's jobs: summary.csv, summary.json, report.html and figures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aecore.compare.compare import compare_sweep
from aecore.config.terminal import show
from aecore.errors import Interrupted
from aecore.runs.sweep import Sweep, read_sweep


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


_latest: dict[Path, tuple[float, float]] = {}  # when a sweep was compared here, for how long


def compare_running(folder: Path) -> None:
    """Compare the jobs of a sweep while others run, in at most a tenth of this process's time.

    Reading every job after each of them takes long where many are short. The launching process
    compares once more at the end.
    """
    began = time.monotonic()
    ended, seconds = _latest.get(folder, (-math.inf, 0.0))
    if began - ended < 9 * seconds:
        return
    if (sweep := read_sweep(folder)) is not None:
        compare_sweep(sweep)
        _latest[folder] = time.monotonic(), time.monotonic() - began
