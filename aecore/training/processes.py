"""The processes of one training: their rank, their number, and what started them.

A training over several processes is started by Lightning itself from `run.py` alone, by torchrun,
or by Slurm's srun (as submitit does with `tasks_per_node`). The process of rank 0 leads: it alone
makes the run folder and writes; the others train along and end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from aecore.errors import UserError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one training, as this one sees them.

    leads: whether this process has rank 0. size: the number of processes that were started.
    launcher: what started them all, None where this process is alone or will start the others.
    """

    leads: bool
    size: int
    launcher: str | None


def process_group() -> ProcessGroup:
    """The processes that the environment variables describe.

    Raises UserError for one that is no number.
    """
    local, node = _number("LOCAL_RANK"), _number("NODE_RANK")  # Lightning reads the first anyway
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return ProcessGroup(_number("RANK") == 0, _number("WORLD_SIZE", 1), "torchrun")
    tasks = _number("SLURM_STEP_NUM_TASKS", 1)  # of this srun; a batch script has none
    if tasks > 1:
        return ProcessGroup(_number("SLURM_PROCID") == 0, tasks, "srun")
    return ProcessGroup(local == node == 0, 1, None)


def _number(variable: str, default: int = 0) -> int:
    text = os.environ.get(variable, str(default))
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"{variable}={text}: must be an integer", f"unset {variable}")
    return int(text)


def is_leader() -> bool:
    """Whether this process makes the run folder and writes."""
    return process_group().leads


def started_together() -> bool:
    """Whether torchrun or srun started every process of the training."""
    return process_group().launcher is not None


def check_alone() -> None:
    """Raise UserError where each of several processes would start the same multirun."""
    group = process_group()
    if group.launcher is not None:
        raise UserError(
            f"--multirun: {group.launcher} started {group.size} processes of it",
            "start it alone: each job with trainer=ddp starts its own processes",
        )


def check_processes(devices: int, nodes: int) -> None:
    """Raise UserError where the number of processes is not that of the configuration."""
    group = process_group()
    if started_together() and group.size != devices * nodes:
        raise UserError(
            f"trainer.devices={devices} trainer.num_nodes={nodes}: {group.launcher} started "
            f"{group.size} processes",
            f"use trainer=ddp trainer.devices={max(group.size // nodes, 1)}",
        )
    if devices * nodes == 1 and not group.leads:
        raise UserError(
            "LOCAL_RANK or NODE_RANK is set, as if this process followed another one, but "
            "trainer.devices=1",
            "unset them, or use trainer=ddp",
        )
