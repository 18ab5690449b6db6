"""The jobs of a multirun through submitit: on this machine, or handed to Slurm."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit
from hydra.core.singleton import Singleton
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from submitit.core.core import Job
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

from aecore.config.terminal import say
from aecore.errors import Interrupted, UserError
from aecore.runs.sweep import ended, job_label, lose

_ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "REVOKED", "TIMEOUT",
}  # fmt: skip
_GRACE = 5.0  # seconds in which a file of another machine may become visible


class Queue(SlurmInfoWatcher):
    """Asks squeue how jobs fare: sacct answers only where the cluster keeps accounts."""

    def _make_command(self) -> list[str] | None:
        command = ["squeue", "--me", "--noheader", "--states=all", "--array", "--format=%i|%T|%N"]
        return command if self._registered - self._finished else None

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """States of the jobs that are waited for; one that Slurm has forgotten has ended."""
        text = string if isinstance(string, str) else string.decode()
        states = {}
        for line in text.splitlines():
            job, state, nodes = line.split("|")
            states[job] = {
                "JobID": job,
                "State": state if state in _ENDED else "RUNNING",
                "NodeList": nodes,
            }
        gone = {"State": "GONE"}
        return {job: states.get(job, gone) for job in self._registered - self._finished}


def submit(
    launcher: Any,
    folders: Mapping[int, Path],
    jobs: Mapping[int, Sequence[str]],
    dismiss: Callable[[], None],
) -> None:
    """Run jobs, number -> overrides, and wait for them; one that is lost gets an error.txt.

    On this machine as many at a time as there are cores, each with one thread (or with
    `hydra.launcher.cpus_per_task`); Slurm gets all of them, as an array. A signal cancels them.

    dismiss: lets those that are going on save their state, before they are cancelled here.
    Raises UserError where they cannot be submitted.
    """
    local = launcher._EXECUTOR == "local"
    executor = _executor(launcher, local)
    at_once, grace = len(jobs), _GRACE
    if local:
        threads = launcher.params["cpus_per_task"] or 1
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        at_once, grace = max(len(os.sched_getaffinity(0)) // threads, 1), 0.0
    waiting = list(jobs.items())
    running: dict[int, Job[Any]] = {}
    over: dict[int, float] = {}  # since when
    try:
        while waiting or running:
            some = waiting[: at_once - len(running)]
            if some:
                running |= _submitted(executor, launcher, some)
                del waiting[: len(some)]
            for number, job in list(running.items()):
                if not job.done():
                    continue
                folder = folders[number]
                lost_for = time.monotonic() - over.setdefault(number, time.monotonic())
                if ended(folder) or lost_for >= grace:
                    del running[number]
                    _tell(folder, job)
            time.sleep(0.1 if local else 1.0)
    except BaseException as error:
        interrupted = isinstance(error, Interrupted)
        if interrupted and local:  # else they would be killed within a second
            dismiss()
        for job in running.values():
            job.cancel(check=False)
        if interrupted:
            dismiss()
        raise


def _executor(launcher: Any, local: bool) -> submitit.AutoExecutor:
    """As the plugin makes it from `hydra.launcher`."""
    params = dict(launcher.params)
    if local and params["tasks_per_node"] > 1:
        raise UserError(
            f"hydra.launcher.tasks_per_node={params['tasks_per_node']}: only for submitit_slurm",
            "here a job with trainer=ddp trainer.devices=2 starts its processes itself",
        )
    kind, folder = launcher._EXECUTOR, _unused(str(params.pop("submitit_folder")))
    options = {f"{kind}_{k}": params.pop(k) for k in ("max_num_timeout",) if k in params}
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=kind, **options)
    except RuntimeError as error:  # without srun
        raise UserError(
            "hydra/launcher=submitit_slurm: there is no Slurm here (no srun)",
            "start it on a login node, or use hydra/launcher=submitit_local",
        ) from error
    shared = set(BaseQueueConf.__dataclass_fields__)
    settings = {k if k in shared else f"{kind}_{k}": v for k, v in params.items()}
    executor.update_parameters(**settings)
    if not local:
        executor.update_parameters(slurm_srun_args=["--kill-on-bad-exit=1"])
        SlurmJob.watcher = Queue(delay_s=30)
    return executor


def _unused(folder: str) -> str:
    """A folder of submitit's that holds nothing: its processes run what they find there."""
    above, percent, job = folder.rpartition("/%j")
    return f"{above}/{secrets.token_hex(4)}{percent}{job}" if percent else folder


def _submitted(
    executor: submitit.AutoExecutor, launcher: Any, jobs: Sequence[tuple[int, Sequence[str]]]
) -> dict[int, Job[Any]]:
    """Hand over some jobs; the launcher itself is what each of them calls, as in the plugin."""
    state = Singleton.get_state()
    calls = [(list(o), "hydra.sweep.dir", n, str(n), state) for n, o in jobs]
    try:
        made = executor.map_array(launcher, *zip(*calls, strict=True))
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        last = [line for line in str(error).splitlines() if line.strip()][-1:]
        raise UserError(f"the jobs could not be submitted: {''.join(last)}") from error
    return {number: job for (number, _), job in zip(jobs, made, strict=True)}


def _tell(folder: Path, job: Job[Any]) -> None:
    """One line on a job that ended; error.txt for one that was lost."""
    if not ended(folder):
        log = job.stderr() or ""
        lose(folder, f"{job.state.lower()}; its log is {job.paths.stderr}\n\n{log[-4000:]}")
    elif (folder / "error.txt").is_file():
        say(f"{job_label(folder)}: failed", error=True)
    else:
        say(f"{job_label(folder)}: finished")
