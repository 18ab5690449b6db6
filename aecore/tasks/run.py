"""From a request to its task: for a single run, and for a job of a multirun."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from aecore.build import build
from aecore.fitting import quiet
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


def run_job(config: Any) -> dict[str, float]:
    """A job of a multirun, in the folder that Hydra made for it."""
    hydra = HydraConfig.get()
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    choices = {k: v for k, v in hydra.runtime.choices.items() if not str(k).startswith("hydra/")}
    for group in ("penalty", "figures"):  # Hydra leaves lists out of its choices
        choices.setdefault(group, list(plain[group]))
    folder = Path(hydra.runtime.output_dir)
    logging.getLogger("aecore").setLevel(logging.WARNING)
    return run(
        Request(
            {str(k): v for k, v in plain.items() if k not in ("experiment", "sweeps", "model")},
            {str(k): v for k, v in choices.items()},
            list(hydra.overrides.task),
            lambda: folder,
        ),
        [],
    )
