"""Lightning's Trainer: quiet, and without signal handlers of its own."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector

from aecore.config.schema import Config
from aecore.training.callbacks.checkpoint import AtomicIO
from aecore.training.loggers.base import RunLogger
from aecore.training.processes import process_group


class _Deaf(_SignalConnector):
    """Leaves signals to `aecore.training.signals`; Lightning ends a process with status 0."""

    def register_signal_handlers(self) -> None:
        """Register none."""


def make_trainer(
    config: Config,
    callbacks: Sequence[Callback],
    loggers: Sequence[RunLogger],
    checkpoint_io: AtomicIO,
    *,
    validate: bool,
    idle: bool = False,
) -> Trainer:
    """A Trainer that does nothing each step but train.

    idle: whether some parameters have no gradient in some steps.
    """
    options = config.trainer
    searching = "_find_unused_parameters_true" if idle and options.strategy == "ddp" else ""
    assert options.max_epochs != "auto", "prepare() makes it a number"
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy=options.strategy + searching,
        precision=options.precision,
        max_epochs=options.max_epochs,
        callbacks=[*callbacks],
        logger=[*loggers] or False,
        plugins=[checkpoint_io, _environment(options.devices)],
        enable_checkpointing=True,  # by our own callback: Lightning adds none where one is
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validate else 0,
        use_distributed_sampler=False,
        inference_mode=False,  # the contractive penalty needs gradients in validation too
    )
    trainer._signal_connector = _Deaf(trainer)
    return trainer


def _environment(devices: int) -> ClusterEnvironment:
    """The processes of the training for Lightning, whose own detection is not used.

    It would take every Slurm job for one of its own, ask it to be requeued, and wait for others.
    """
    launcher = process_group().launcher
    if launcher == "torchrun":
        return TorchElasticEnvironment()
    if launcher == "srun":
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(devices))  # Lightning insists on it
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the messages of libraries; our own warnings go through the `aecore` logger."""
    names = ("pytorch_lightning", "lightning_fabric", "lightning_utilities")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(pytorch_|lightning|torch)\w*\..*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
