"""How far a sweep is, and how long it takes."""

from __future__ import annotations

import time
from pathlib import Path

from aecore.config.terminal import say
from aecore.runs.folder import ERROR, METRICS
from aecore.runs.lock import FILE
from aecore.runs.sweep import read_sweep
from aecore.training.estimate import clock


def say_progress(folder: Path) -> None:
    """Print how many jobs of a grid have ended and how long the others take at this pace.

    The pace is that since the sweep was started or resumed, with its jobs side by side.
    """
    sweep = read_sweep(folder)
    if sweep is None or sweep.search is not None:
        return
    jobs = [job for job in sweep.folders if _has_ended(job)]
    left = len(sweep.folders) - len(jobs)
    text = f"{len(jobs)} of {len(sweep.folders)} jobs done"
    if left and (seconds := _seconds_left(folder, jobs, left)) is not None:
        text += f", about {clock(seconds)} left"
    say(text)


def _has_ended(job: Path) -> bool:
    """By its files alone: reading those of every job after each of them would add up."""
    return any((job / name).is_file() for name in (METRICS, ERROR))


def _seconds_left(folder: Path, jobs: list[Path], left: int) -> float | None:
    """None where nobody knows when the sweep was started."""
    try:
        start = (folder / FILE).stat().st_mtime
    except OSError:
        return None
    files = [job / METRICS for job in jobs]
    done = sum(file.is_file() and file.stat().st_mtime >= start for file in files)
    return (time.time() - start) / done * left if done else None
