"""Which of the processes of one training this is, and what started it.

A training over several processes is started by Lightning itself from `run.py` alone, by torchrun,
or by Slurm's srun (so does submitit with `tasks_per_node`). The process of rank 0 leads: it alone
makes the run folder and writes. The others need to know neither: they train along and end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aecore.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment


@dataclass(frozen=True)
class Place:
    """This process among the `world` of one training.

    leads: whether it is the one of rank 0. starter: what started them all, None where it is this
    process that will start the others, or where it is alone.
    """

    leads: bool
    world: int
    starter: str | None


def place() -> Place:
    """What the environment variables of this process tell."""
    told = os.environ
    if "TORCHELASTIC_RUN_ID" in told:
        return Place(told["RANK"] == "0", int(told["WORLD_SIZE"]), "torchrun")
    tasks = int(told.get("SLURM_STEP_NUM_TASKS", "1"))  # of this srun; a batch script has none
    if tasks > 1:
        return Place(told["SLURM_PROCID"] == "0", tasks, "srun")
    first = all(told.get(key, "0") == "0" for key in ("NODE_RANK", "LOCAL_RANK"))
    return Place(first, 1, None)


def is_leader() -> bool:
    """Whether this process makes the folder and writes."""
    return place().leads


def started_together() -> bool:
    """Whether torchrun or srun started every process of the training."""
    return place().starter is not None


def check_alone() -> None:
    """Raise UserError where each of several processes would start the same multirun."""
    here = place()
    if here.starter is not None:
        raise UserError(
            f"--multirun: {here.starter} started {here.world} processes of it\n"
            "  start it alone: each job with trainer=ddp starts its own processes"
        )


def check_processes(devices: int, nodes: int) -> None:
    """Raise UserError where other processes were started than the configuration wants."""
    here = place()
    if started_together() and here.world != devices * nodes:
        raise UserError(
            f"trainer.devices={devices} trainer.num_nodes={nodes}: {here.starter} started "
            f"{here.world} processes\n"
            f"  they must be as many: trainer=ddp trainer.devices={max(here.world // nodes, 1)}"
        )


def cluster_environment(devices: int) -> ClusterEnvironment:
    """Lightning's view of it: what is told here is not guessed by Lightning.

    It would take every Slurm job for one of its own, ask it to be requeued, and wait for others.
    """
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    starter = place().starter
    if starter == "torchrun":
        return TorchElasticEnvironment()
    if starter == "srun":
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(devices))  # Lightning insists on it
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()
