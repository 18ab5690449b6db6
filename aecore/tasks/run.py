"""From a request to its task: for a single run, and for a job of a multirun."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aecore.config.build import build, known_keys
from aecore.config.folders import builtin_options, command
from aecore.config.secret import masking
from aecore.errors import UserError, nearest
from aecore.evaluation.figures.draw import also_as
from aecore.tasks.base import Request, Task
from aecore.tasks.train import Train
from aecore.tasks.use import Use
from aecore.training.trainer import quiet


def run(request: Request, made: list[Path]) -> dict[str, float]:
    """Run the task of a request; the run folder is appended to `made` when created."""

    def folder() -> Path:
        if not made:
            made.append(request.folder())
        return made[0]

    task = build_task(request.config)
    if request.run is not None and not isinstance(task, Use):
        raise UserError(
            f"task={request.config['task']}: does nothing with a trained run",
            f"leave out run=, or choose a task that does: `{command()} --help` lists them",
        )
    if request.config.get("dry_run") and not isinstance(task, Train):
        hint = "it describes a training: leave it out, or take task=train"
        raise UserError(f"dry_run=true: task={request.config['task']} has no use for it", hint)
    extension = str(request.config["figures"].get("format", "png"))
    with masking(request.secrets), quiet(), _memory(), also_as(extension):
        return task(replace(request, folder=folder))


def build_task(config: Mapping[str, Any]) -> Task:
    """The task of a configuration, with the options below its name; raises UserError."""
    name = config["task"]
    if name not in builtin_options("task"):
        raise UserError(f"task={name}: no such task{nearest(str(name), builtin_options('task'))}")
    target = class_of_task(name)
    options = config[name] if known_keys(target) else {}  # `evaluate` is a node of every run
    return build({"_target_": f"{target.__module__}.{target.__name__}", **options}, name, Task)


def class_of_task(name: str) -> type[Task]:
    """The one class derived from `Task` that the module `aecore.tasks.NAME` defines."""
    module = importlib.import_module(f"aecore.tasks.{name}")
    classes = [value for value in vars(module).values() if inspect.isclass(value)]
    (target,) = (c for c in classes if issubclass(c, Task) and c.__module__ == module.__name__)
    return target


@contextmanager
def _memory() -> Iterator[None]:
    """UserError where the memory of the machine or of its GPU does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_cpu = "can't allocate memory" in str(error)  # torch has no class for it
        if not (on_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        tried = re.search(r"allocate (\d[\d.]* \w+)", str(error))
        wanted = f" ({tried[1]} more were asked for)" if tried else ""
        raise UserError(
            f"there is not enough memory for this{wanted}",
            "take a smaller batch (dataset.batch_size) or model (latent.dim, network.hidden, ...)",
        ) from error
