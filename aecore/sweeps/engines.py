"""The jobs of a multirun through Hydra's launchers; one whose process dies costs only itself."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGTERM
from threading import Thread
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.plugins.launcher import Launcher

from aecore.config.overrides import SUBDIR, quoted
from aecore.config.terminal import say
from aecore.errors import Interrupted
from aecore.runs.files import remove
from aecore.runs.folder import ERROR, optimized
from aecore.runs.lock import LEADER, dismiss, identity
from aecore.runs.sweep import ended, lose
from aecore.training.signals import check_received, deferred, end_with, listen_again, received

# nothing is reported to anyone, and no token is put into the user's home
_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
_SHORT, _LONG = "/tmp", 40  # Ray's sockets lie there, whose paths have 107 characters at most
Jobs = Mapping[int, Sequence[str]]
Folders = Mapping[int, Path]
_BEGUN = Path(".hydra", "overrides.yaml")  # Hydra writes it as a job starts
_SAVING = 8.0  # seconds that interrupted jobs have to save their state; docker kills after ten


def run_jobs(
    launcher: Launcher, sweep: Path, jobs: Jobs, names: Sequence[str] | None = None
) -> list[float | None]:
    """Run jobs, number -> overrides, each in the folder `sweep/number`.

    names: where given, job i runs in the folder `sweep/names[i]` instead.
    Returns what each reached in `optimized_metric`, None where it has no such metric. Every job
    that did not finish has an error.txt. Raises UserError where the launcher cannot be used here.
    """
    named = {n: str(n) if names is None else names[n] for n in jobs}
    folders = {n: sweep / name for n, name in named.items()}
    for folder in folders.values():
        remove(folder / ERROR)
        remove(folder / _BEGUN)
    placed = {n: [*job, f"{SUBDIR}={quoted(named[n])}"] for n, job in jobs.items()}
    for key, value in _RAY.items():
        os.environ.setdefault(key, value)
    if len(tempfile.gettempdir()) > _LONG and Path(_SHORT).is_dir():
        os.environ.setdefault("RAY_TMPDIR", _SHORT)
    if _is_of(launcher, "joblib"):
        vars(launcher)["joblib"] |= {"initializer": end_with, "initargs": (os.getpid(),)}
    if isinstance(launcher, BasicLauncher):
        for number, job in placed.items():  # of those launched at once Hydra keeps what each had
            _launch(launcher, folders, {number: job})
        check_received()
    else:
        os.environ[LEADER] = identity()
        _launch_elsewhere(launcher, folders, placed, partial(_dismiss, sweep, [*folders.values()]))
    for folder in folders.values():
        if not ended(folder):
            lose(folder, "it left neither metrics nor an error")
    return [optimized(folder) for folder in folders.values()]


def _launch_elsewhere(
    launcher: Launcher, folders: Folders, jobs: Jobs, dismiss: Callable[[], None]
) -> None:
    if _is_of(launcher, "submitit"):
        from aecore.sweeps.slurm import submit

        submit(launcher, folders, jobs, dismiss)
    else:
        with deferred():
            _in_thread(partial(_launch, launcher, folders, jobs), dismiss)


def _is_of(launcher: Any, plugin: str) -> bool:
    """Whether a launcher is one of Hydra's plugin of that name."""
    return type(launcher).__module__.startswith(f"hydra_plugins.hydra_{plugin}_launcher.")


def _in_thread(work: Callable[[], None], dismiss: Callable[[], None]) -> None:
    """Do it beside this thread, which alone can read signals; raises what it raises.

    Where a signal comes, jobs are dismissed and the workers of Joblib and Ray are killed.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    while received() is None:
        listen_again()  # Ray puts a handler of its own in place
        with suppress(TimeoutError):
            return done.result(timeout=0.2)
    dismiss()
    _disconnect()
    thread.join(timeout=2)
    raise Interrupted(received() or SIGTERM)


def _launch(launcher: Launcher, folders: Folders, jobs: Jobs) -> None:
    """Launch all jobs at once; if that fails, the started ones one by one, then the rest.

    Joblib and Ray give up every job when a worker is killed (for its memory, as a rule), and do
    not tell whose it was: alone, only the culprit fails again. Where a worker was killed before any
    job started, the first job goes on alone, so that in the end every job was tried.
    """
    waiting = dict(jobs)
    while waiting:
        try:
            launcher.launch(list(waiting.values()), initial_job_idx=min(waiting))
            return
        except Exception as error:
            _disconnect()
            if received() is not None:
                raise
            waiting = {n: job for n, job in waiting.items() if not ended(folders[n])}
            begun = [n for n in waiting if (folders[n] / _BEGUN).is_file()]
            if not waiting:
                return
            if not begun and not isinstance(error, BrokenExecutor):
                raise
            begun = begun or [min(waiting)]
            say(
                f"a worker was lost ({type(error).__name__}); "
                f"jobs {', '.join(map(str, begun))} go on one at a time",
                error=True,
            )
        for number in begun:
            try:
                launcher.launch([waiting.pop(number)], initial_job_idx=number)
            except Exception as error:
                _disconnect()
                lose(folders[number], f"{type(error).__name__}: {error}")


def _disconnect() -> None:
    """End what Joblib and Ray still run of a launch that broke off."""
    if (ray := sys.modules.get("ray")) is not None:
        ray.shutdown()
    if (loky := sys.modules.get("joblib.externals.loky")) is not None:
        loky.get_reusable_executor(reuse=True).shutdown(wait=False, kill_workers=True)


def _dismiss(sweep: Path, folders: Sequence[Path]) -> None:
    """Tell jobs that are going on that they are not wanted, and let them save their state."""
    if not dismiss(sweep):
        return
    going = [folder for folder in folders if (folder / _BEGUN).is_file() and not ended(folder)]
    deadline = time.monotonic() + _SAVING
    while not all(map(ended, going)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for folder in going:
        remove(folder / ERROR)  # not failed, only interrupted
