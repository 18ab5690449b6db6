"""From a request to its task: for a single run, and for a job of a multirun."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aecore.config.build import build, known_keys
from aecore.config.folders import builtin_options, command
from aecore.config.secret import masking
from aecore.errors import UserError, nearest
from aecore.tasks.base import Request, Task


def run(request: Request, made: list[Path]) -> dict[str, float]:
    """Run the task of a request; the run folder is appended to `made` when created."""

    def folder() -> Path:
        if not made:
            made.append(request.folder())
        return made[0]

    task = build_task(request.config)
    if request.run is not None and not task.uses_run:
        raise UserError(
            f"task={request.config['task']}: does nothing with a trained run",
            f"leave out run=, or choose a task that does: `{command()} --help` lists them",
        )
    if request.config.get("dry_run") and not task.can_be_described:
        hint = "it describes a training: leave it out, or take task=train"
        raise UserError(f"dry_run=true: task={request.config['task']} has no use for it", hint)
    within = replace(request, folder=folder)
    with masking(request.secrets):
        if not task.computes:
            return task(within)
        from aecore.tasks.computing import computing  # torch comes in here

        with computing(str(request.config["figures"].get("format", "png"))):
            return task(within)


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
