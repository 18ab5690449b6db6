"""The jobs of a multirun through Hydra's launchers; one whose process dies costs only itself."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from signal import SIGTERM
from threading import Thread

from filelock import FileLock, Timeout
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.plugins.launcher import Launcher

from aecore.config.overrides import SUBDIR, quoted
from aecore.config.terminal import say
from aecore.errors import Interrupted, UserError
from aecore.runs.folder import ERROR, optimized
from aecore.runs.sweep import LEADER, ended, lose
from aecore.training.signals import deferred, listen_again, received

# nothing is reported to anyone, and no token is put into the user's home
_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
_SHORT, _LONG = "/tmp", 40  # Ray's sockets lie there, whose paths have 107 characters at most
Jobs = Mapping[int, Sequence[str]]
Folders = Mapping[int, Path]
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
        (folder / ERROR).unlink(missing_ok=True)
    placed = {n: [*job, f"{SUBDIR}={quoted(named[n])}"] for n, job in jobs.items()}
    for key, value in _RAY.items():
        os.environ.setdefault(key, value)
    if len(tempfile.gettempdir()) > _LONG and Path(_SHORT).is_dir():
        os.environ.setdefault("RAY_TMPDIR", _SHORT)
    if isinstance(launcher, BasicLauncher):
        _launch(launcher, folders, placed)
    else:
        with leading(sweep) as lock:
            dismiss = partial(_dismiss, lock, [*folders.values()])
            _launch_elsewhere(launcher, folders, placed, dismiss)
    for folder in folders.values():
        if not ended(folder):
            lose(folder, "it left neither metrics nor an error")
    return [optimized(folder) for folder in folders.values()]


def _launch_elsewhere(
    launcher: Launcher, folders: Folders, jobs: Jobs, dismiss: Callable[[], None]
) -> None:
    if type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher."):
        from aecore.sweeps.slurm import submit

        submit(launcher, folders, jobs, dismiss)
    else:
        with deferred():
            _in_thread(partial(_launch, launcher, folders, jobs), dismiss)


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
    not tell whose it was: alone, only the culprit fails again.
    """
    waiting = dict(jobs)
    while waiting:
        before = {number: _begun(folders[number]) for number in waiting}
        try:
            launcher.launch(list(waiting.values()), initial_job_idx=min(waiting))
            return
        except Exception as error:
            _disconnect()
            if received() is not None:
                raise
            waiting = {n: job for n, job in waiting.items() if not ended(folders[n])}
            begun = [n for n in waiting if _begun(folders[n]) != before[n]]
            if not begun:
                raise
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


@contextmanager
def leading(sweep: Path) -> Iterator[FileLock]:
    """Hold the lock that tells jobs in other processes that they are still wanted.

    Raises UserError where another process holds it.
    """
    lock = FileLock(sweep / LEADER)
    try:
        lock.acquire(timeout=2)
    except Timeout:
        raise UserError(f"{sweep}: another process runs this sweep") from None
    try:
        yield lock
    finally:
        lock.release()
        (sweep / LEADER).unlink(missing_ok=True)


def _dismiss(lock: FileLock, folders: Sequence[Path]) -> None:
    """Give up the lock, if not done already, and let jobs that are going on save their state."""
    if not lock.is_locked:
        return
    going = [folder for folder in folders if _begun(folder) is not None and not ended(folder)]
    lock.release()
    deadline = time.monotonic() + _SAVING
    while not all(map(ended, going)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for folder in going:
        (folder / ERROR).unlink(missing_ok=True)  # not failed, only interrupted


def _begun(folder: Path) -> int | None:
    """A mark of the start of the job of a folder, for comparison; None if none started."""
    try:
        return (folder / ".hydra" / "overrides.yaml").stat().st_mtime_ns
    except FileNotFoundError:
        return None
