"""From a request to its task: for a single run, and for a job of a multirun."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from aecore.config.build import build
from aecore.config.folders import command
from aecore.errors import UserError
from aecore.tasks.base import Request, Task
from aecore.tasks.use import Use
from aecore.training.trainer import quiet


def run(request: Request, made: list[Path]) -> dict[str, float]:
    """Do what was asked; the run folder is put into `made` as soon as there is one."""

    def folder() -> Path:
        if not made:
            made.append(request.folder())
        return made[0]

    typed = "task" if request.run is None else request.words["task"]  # as in score.by=elbo
    task = build(request.config["task"], typed, Task)
    if request.run is not None and not isinstance(task, Use):
        raise UserError(
            f"task={request.words['task']}: does nothing with a trained run\n"
            f"  leave out run=, or choose a task that does: `{command()} --help` lists them"
        )
    with quiet(), _memory():
        return task(replace(request, folder=folder))


@contextmanager
def _memory() -> Iterator[None]:
    """UserError where the memory of the machine or of its GPU does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_cpu = "can't allocate memory" in str(error)  # for which torch has no class of its own
        if not (on_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        tried = re.search(r"allocate (\d[\d.]* \w+)", str(error))
        told = f" ({tried[1]} more were asked for)" if tried else ""
        raise UserError(
            f"there is not enough memory for this{told}\n"
            "  take a smaller batch (dataset.batch_size) or model (latent.dim, network.hidden, ...)"
        ) from error
