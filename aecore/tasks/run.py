"""From a request to its task: for a single run, and for a job of a multirun."""

from __future__ import annotations

import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from aecore import results
from aecore.build import build
from aecore.compose import choices, without_presets
from aecore.errors import NonFiniteLoss, UserError
from aecore.fitting import quiet
from aecore.sweep import ERROR, read, title
from aecore.tasks.base import Request, Task


def run(request: Request, made: list[Path]) -> dict[str, float]:
    """Do what was asked; the run folder is put into `made` as soon as there is one."""

    def folder() -> Path:
        if not made:
            made.append(request.folder())
        return made[0]

    task = build(request.config["task"], "task", Task)
    with quiet():
        return task(replace(request, folder=folder))


def run_job(config: Any) -> float | None:
    """A job of a multirun, in the folder that Hydra made for it.

    What goes wrong is written to error.txt and does not stop the sweep. Returns the metric that
    a search optimizes (`optimized_metric`), None where there is none.
    """
    hydra = HydraConfig.get()
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    folder = Path(hydra.runtime.output_dir)
    error = folder / ERROR
    error.unlink(missing_ok=True)
    overrides = list(hydra.overrides.task)
    words = choices(OmegaConf.create({"runtime": hydra.runtime}), plain)
    request = Request(without_presets(plain), words, overrides, lambda: folder, brief=True)
    metrics: dict[str, float] = {}
    try:
        metrics = _job(request, folder)
    except (UserError, NonFiniteLoss) as failure:
        _failed(error, str(failure))
    except Exception as failure:
        _failed(error, f"{type(failure).__name__}: {failure}\n\n{traceback.format_exc()}")
        traceback.clear_frames(failure.__traceback__)  # they hold the model
    _compared(folder.parent)
    wanted = plain.get("optimized_metric")
    if not metrics or not isinstance(wanted, str):
        return None
    history = results.read_history(folder)
    return {**(history[-1] if history else {}), **metrics}.get(wanted)


def _job(request: Request, folder: Path) -> dict[str, float]:
    if results.is_run(folder):
        request = replace(request, config=results.read_config(folder), resumed=True)
    trainer = request.config["trainer"]
    if trainer["devices"] * trainer["num_nodes"] > 1:
        return _in_processes(request, folder)
    return run(request, [])


def _in_processes(request: Request, folder: Path) -> dict[str, float]:
    """A distributed job, led by a process of its own: a rank that dies takes its leader along."""
    if not results.is_run(folder):
        results.write_run(folder, request.words, request.overrides)
        results.write_config(folder, request.config)
    done = subprocess.run([sys.executable, "-m", "aecore", f"resume={folder}"], check=False)
    metrics = results.read_metrics(folder)
    if metrics is None:
        raise UserError(
            f"a process of this distributed job ended with status {done.returncode}\n"
            f"  resume={folder} continues it alone"
        )
    return metrics


def _failed(path: Path, message: str) -> None:
    results.write_atomically(path, (message + "\n").encode())
    print(f"job {path.parent.name} failed: {message.splitlines()[0]}", file=sys.stderr, flush=True)


def _compared(folder: Path) -> None:
    """Bring the sweep's summary and report up to date."""
    from aecore.compare import compare

    sweep = read(folder)
    if sweep is not None:
        compare(sweep.folders, folder, title=title(sweep), grid=sweep.grid)
