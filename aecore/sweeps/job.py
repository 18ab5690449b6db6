"""One job of a multirun."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from aecore.config.compose import choices
from aecore.config.folders import flags, resuming, set_user_folders
from aecore.config.overrides import searched
from aecore.errors import NonFiniteError, UserError
from aecore.runs.folder import (
    ERROR,
    is_run,
    optimized,
    read_config,
    write_atomically,
    write_config,
    write_run,
)
from aecore.sweeps.callbacks import job_callbacks
from aecore.sweeps.comparison import running_comparison
from aecore.tasks.base import Request
from aecore.tasks.run import run
from aecore.training.processes import is_leader, started_together


def run_job(config: Any) -> float | None:
    """A job of a multirun, in the folder that Hydra made for it.

    Errors are written to error.txt and do not stop the sweep. Returns the metric that
    a search optimizes (`optimized_metric`), None where there is none.
    """
    hydra = HydraConfig.get()
    set_user_folders(searched(hydra.searchpath))  # not every launcher hands on the environment
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    config_dict = {str(key): value for key, value in plain.items()}
    folder = Path(hydra.runtime.output_dir)
    error = folder / ERROR
    overrides = list(hydra.overrides.task)
    chosen = choices(hydra.runtime.choices, config_dict)
    request = Request(
        config_dict,
        chosen,
        overrides,
        lambda: folder,
        brief=True,
        callbacks=partial(job_callbacks, folder),
    )
    failed = True
    try:
        _job(request, folder)
        failed = False
    except (UserError, NonFiniteError) as failure:
        _failed(error, str(failure))
    except Exception as failure:
        _failed(error, f"{type(failure).__name__}: {failure}\n\n{traceback.format_exc()}")
        traceback.clear_frames(failure.__traceback__)  # they hold the model
    gc.collect()  # Lightning leaves reference cycles behind, which hold the model
    if is_leader():
        running_comparison(folder.parent).update()
    if failed and started_together():
        sys.exit(1)  # so that srun ends the other processes, which would wait for this one
    return optimized(folder)


def _job(request: Request, folder: Path) -> None:
    if is_run(folder):
        request = replace(request, config=read_config(folder), resumed=True)
    trainer = request.config["trainer"]
    if trainer["devices"] * trainer["num_nodes"] > 1 and not started_together():
        _in_processes(request, folder)
    else:
        run(request, [])


def _in_processes(request: Request, folder: Path) -> None:
    """A distributed job in a separate process, as a rank that dies ends the leader too."""
    if not is_run(folder):
        write_run(folder, request.choices, request.overrides)
        write_config(folder, request.config)
    command = [sys.executable, "-m", "aecore", *flags(), f"resume={folder}"]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    reason = f"a process of this job ended with status {done.returncode}"
    if done.returncode < 0:
        reason = f"a process of this job was killed by {signal.Signals(-done.returncode).name}"
    elif errors:
        reason = errors[-1].removeprefix("error: ")
    raise UserError(f"{reason}", f"{resuming(folder)} goes on\n\n{done.stderr}")


def _failed(path: Path, message: str) -> None:
    if is_leader():
        write_atomically(path, (message + "\n").encode(errors="backslashreplace"))
        first = message.splitlines()[0]
        print(f"job {path.parent.name} failed: {first}", file=sys.stderr, flush=True)
