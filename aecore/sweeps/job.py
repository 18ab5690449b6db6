"""One job of a multirun."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from aecore.config.arguments import searched
from aecore.config.compose import choices, resolved
from aecore.config.folders import flags, resuming, set_user_folders
from aecore.config.overrides import as_override, read
from aecore.config.secret import secret_keys, without_secrets
from aecore.config.terminal import labelled, say, warn_on_stderr
from aecore.errors import Interrupted, NonFiniteError, UserError
from aecore.runs.files import write_atomically
from aecore.runs.folder import (
    ERROR,
    is_run,
    note_redacted,
    optimized,
    write_config,
    write_run,
)
from aecore.runs.lock import is_led
from aecore.runs.places import is_place
from aecore.runs.sweep import STORAGE, job_label, read_sweep, sweep_of
from aecore.sweeps.callbacks import job_callbacks
from aecore.sweeps.comparison import compare_running
from aecore.sweeps.progress import say_progress
from aecore.tasks.base import Request
from aecore.tasks.resume import place_overrides, read_training, settled
from aecore.tasks.run import run
from aecore.training.processes import is_leader, started_together
from aecore.training.signals import (
    check_received,
    deferred,
    is_listening,
    listening,
    previous_handler,
    queue_signals,
    received,
    repeats_end,
)

_SAVING = 8.0  # seconds that the processes of an interrupted job have to save its state


def run_job(config: Any) -> float | None:
    """A job of a multirun, in the folder that Hydra made for it.

    Errors are written to error.txt and do not stop the sweep. Returns the metric that
    a search optimizes (`optimized_metric`), None where there is none.
    """
    hydra = HydraConfig.get()
    if not logging.getLogger("aecore").handlers:  # in a process of a launcher
        warn_on_stderr()
    set_user_folders(searched(hydra.searchpath))  # not every launcher hands on the environment
    config_dict, secrets = without_secrets(resolved(config), secret_keys(config))
    folder = Path(hydra.runtime.output_dir)
    overrides: Any = OmegaConf.to_container(hydra.overrides.task)  # as typed, with no secret
    request = Request(
        config_dict,
        choices(hydra.runtime.choices, config_dict),
        overrides,
        lambda: folder,
        brief=True,
        secrets=secrets,
        callbacks=partial(job_callbacks, folder),
    )
    with labelled(job_label(folder)), _listening_here(folder, hydra.launcher._target_):
        return _run_request(request, folder)


def _run_request(request: Request, folder: Path) -> float | None:
    if repeats_end():
        check_received()
    if received() is not None:
        return None  # nobody waits for what comes after an interrupted job
    error = folder / ERROR
    failed = True
    try:
        _job(request, folder)
        failed = False
    except Interrupted as interrupted:
        _interrupted(error, interrupted)
    except (UserError, NonFiniteError) as failure:
        _failed(error, str(failure))
    except Exception as failure:
        _failed(error, f"{type(failure).__name__}: {failure}\n\n{traceback.format_exc()}")
        traceback.clear_frames(failure.__traceback__)  # they hold the model
    say_progress(sweep_of(folder))
    gc.collect()  # Lightning leaves reference cycles behind, which hold the model
    if not gc.get_freeze_count():
        gc.freeze()  # what was imported is not searched again after every job
    if is_leader():
        compare_running(sweep_of(folder))
    if failed and started_together():
        sys.exit(1)  # so that srun ends the other processes, which would wait for this one
    return optimized(folder)


@contextmanager
def _listening_here(folder: Path, launcher: str) -> Iterator[None]:
    """Note signals in a process that a launcher started for jobs; our own command does already.

    It ends its job where the process that launched the sweep has gone; Slurm keeps its jobs.
    """
    if is_listening():
        yield
        return
    leads = None if launcher.endswith("SlurmLauncher") else partial(is_led, sweep_of(folder))
    with listening(queue_signals(), repeated=False, leads=leads):
        yield
        if received() is not None and _is_orphan():
            os._exit(128 + signal.SIGTERM)  # no process is left that waits for a result


def _is_orphan() -> bool:
    """Whether the process that started this one, as joblib does, has gone."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def _interrupted(error: Path, interrupted: Interrupted) -> None:
    """In our own command everything ends; in another process this job, as its launcher does it."""
    handler = previous_handler(interrupted.signum)
    if handler is not None:
        handler(interrupted.signum, None)  # submitit's asks for the job to be started again
    if repeats_end():
        raise interrupted
    if _is_orphan():
        os._exit(128 + signal.SIGTERM)  # by now another leader may go on with this job
    _failed(error, f"interrupted by {signal.Signals(interrupted.signum).name}")


def _job(request: Request, folder: Path) -> None:
    if is_run(folder):
        request = _resumed(request, folder)
    trainer = request.config["trainer"]
    if trainer["devices"] * trainer["num_nodes"] > 1 and not started_together():
        _in_processes(request, folder)
    else:
        run(request, [])


def _resumed(request: Request, folder: Path) -> Request:
    """The request of a job that its folder recorded, with the places that this sweep has."""
    given = {o.key for o in read(request.overrides) if is_place(o.key)}
    recorded = read_training(folder)
    config, secrets = settled(recorded, request.config, request.secrets, given, folder)
    return replace(request, config=config, secrets=secrets, resumed=True)


def _again(request: Request, folder: Path) -> list[str]:
    """What a command that resumes a job must be given again of its places and secrets."""
    secrets = [o.line for o in read(request.overrides) if o.key in request.secrets]
    sweep = read_sweep(sweep_of(folder))
    storage = sweep and sweep.search and sweep.search["storage"]
    shared = [as_override(STORAGE, storage)] if storage else []
    return [*place_overrides(request.config), *secrets, *shared]


def _in_processes(request: Request, folder: Path) -> None:
    """A distributed job in a separate process, as a rank that dies ends the leader too."""
    if not is_run(folder):
        write_run(folder, request.choices, request.overrides)
        note_redacted(folder, request.secrets)
        write_config(folder, request.config)
    command = [
        sys.executable,
        "-m",
        "aecore",
        *flags(),
        f"resume={folder}",
        *_again(request, folder),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        try:
            with deferred():
                stderr = _stderr_of(child)
        except Interrupted as interrupted:
            child.send_signal(interrupted.signum)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_SAVING)
            child.kill()
            raise
    status = child.returncode
    if status == 0:
        return
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    reason = f"a process of this job ended with status {status}"
    if status < 0:
        reason = f"a process of this job was killed by {signal.Signals(-status).name}"
    elif errors:
        reason = errors[-1].removeprefix("error: ")
    raise UserError(f"{reason}", f"{resuming(folder)} goes on\n\n{stderr}")


def _stderr_of(child: subprocess.Popen[str]) -> str:
    """The stderr of a process until it ends; empty if a signal is to end this process first."""
    while received() is None:
        with suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=0.5)[1]
    return ""


def _failed(path: Path, message: str) -> None:
    if is_leader():
        write_atomically(path, (message + "\n").encode(errors="backslashreplace"))
        first = message.splitlines()[0]
        say(f"failed: {first}", error=True)
