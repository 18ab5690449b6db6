"""The jobs of a multirun through Hydra's launchers; one whose process dies costs only itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.plugins.launcher import Launcher

from aecore.runs.folder import ERROR, optimized
from aecore.runs.sweep import ended, lose

# nothing is reported to anyone, and no token is put into the user's home
_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
Jobs = Mapping[int, Sequence[str]]


def run_jobs(launcher: Launcher, sweep: Path, jobs: Jobs) -> list[float | None]:
    """Run jobs, number -> overrides, each in the folder `sweep/number`.

    Returns what each reached in `optimized_metric`, None where it has no such metric. Every job
    that did not finish has an error.txt. Raises UserError where the launcher cannot be used here.
    """
    for number in jobs:
        (sweep / str(number) / ERROR).unlink(missing_ok=True)
    numbered = {n: [*job, f"hydra.sweep.subdir='{n}'"] for n, job in jobs.items()}
    for key, value in _RAY.items():
        os.environ.setdefault(key, value)
    if type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher."):
        from aecore.sweeps.slurm import submit

        submit(launcher, sweep, numbered)
    else:
        _launch(launcher, sweep, numbered)
    folders = [sweep / str(number) for number in jobs]
    for folder in folders:
        if not ended(folder):
            lose(folder, "it left neither metrics nor an error")
    return [optimized(folder) for folder in folders]


def _launch(launcher: Launcher, sweep: Path, jobs: Jobs) -> None:
    """Launch all jobs at once; if that fails, the started ones one by one, then the rest.

    Joblib and Ray give up every job when a worker is killed (for its memory, as a rule), and do
    not tell whose it was: alone, only the culprit fails again.
    """
    waiting = dict(jobs)
    while waiting:
        before = {number: _begun(sweep / str(number)) for number in waiting}
        try:
            launcher.launch(list(waiting.values()), initial_job_idx=min(waiting))
            return
        except Exception as error:
            _disconnect()
            waiting = {n: job for n, job in waiting.items() if not ended(sweep / str(n))}
            begun = [n for n in waiting if _begun(sweep / str(n)) != before[n]]
            if not begun:
                raise
            print(
                f"a worker was lost ({type(error).__name__}); "
                f"jobs {', '.join(map(str, begun))} go on one at a time",
                file=sys.stderr,
                flush=True,
            )
        for number in begun:
            try:
                launcher.launch([waiting.pop(number)], initial_job_idx=number)
            except Exception as error:
                _disconnect()
                lose(sweep / str(number), f"{type(error).__name__}: {error}")


def _disconnect() -> None:
    """End what Ray still runs of a launch that broke off."""
    ray = sys.modules.get("ray")
    if ray is not None:
        ray.shutdown()


def _begun(folder: Path) -> int | None:
    """A mark of the start of the job of a folder, for comparison; None if none started."""
    try:
        return (folder / ".hydra" / "overrides.yaml").stat().st_mtime_ns
    except FileNotFoundError:
        return None
