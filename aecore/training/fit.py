"""Training by gradient descent through Lightning's Trainer, or exactly where that is possible."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import Signals
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from aecore.config.folders import resuming
from aecore.config.schema import Config
from aecore.errors import Interrupted, UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import LAST, PREFIX
from aecore.runs.folder import HISTORY
from aecore.runs.record import make_record
from aecore.sweeps.search.pruning import pruning
from aecore.training.callbacks.checkpoint import AtomicIO, Checkpoints
from aecore.training.callbacks.history import History
from aecore.training.callbacks.pictures import Pictures
from aecore.training.callbacks.progress import Progress
from aecore.training.loggers.base import RunLogger
from aecore.training.module import PART, Training
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.processes import cluster_environment
from aecore.training.setup import Experiment


class _Stop(Exception):
    """Ctrl-C, in a form that Lightning passes on."""


class Stopping(EarlyStopping):
    """Lightning's early stopping, remembering across a resume that it has stopped."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "stopped": bool(self.stopped_epoch)}


def fit(
    words: Experiment,
    model: Autoencoder,
    folder: Path,
    found: tuple[Path, dict[str, Any]] | None,
    loggers: list[RunLogger],
    brief: bool = False,
    silent: bool = False,
) -> None:
    """Train the model into `folder/checkpoints`, from a checkpoint where one was found.

    brief: whether to print nothing where there is no terminal. silent: nothing anywhere.

    Raises NonFiniteLoss and Interrupted.
    """
    settings = words.settings
    checkpoints = folder / "checkpoints"
    keeper = AtomicIO(make_record(settings, model.image_shape, words.data.train.class_names))
    if isinstance(words.optimizer, ClosedForm):
        words.optimizer.solve(model, words.data.train.pixels(), settings.seed)
        state = {PREFIX + k: v for k, v in model.state_dict().items()}
        keeper.save_checkpoint({"state_dict": state, "step": 0, "epoch": 0}, checkpoints / LAST)
        return
    assert isinstance(words.optimizer, GradientDescent)
    module = Training(
        model,
        words.optimizer,
        words.scheduler,
        seed=settings.seed,
        log_every=settings.trainer.log_every,
        gradient_clip=settings.trainer.gradient_clip,
        compile_mode=settings.trainer.compile,
    )
    callbacks: list[Callback] = [
        History(folder / HISTORY),
        Checkpoints(checkpoints, settings.trainer.checkpoint_minutes),
        *([] if silent else [Progress(brief)]),
    ]
    if any(logger.takes_pictures for logger in loggers):
        callbacks.append(Pictures(images=8, dims=16, points=1000, seed=settings.seed))
    callbacks += pruning(folder)
    if settings.trainer.early_stopping.patience is not None:
        callbacks.append(early_stopping(settings))
    with quiet(), interruptible():
        validation = 0 if words.data.val is None else len(words.data.val)
        trainer = make_trainer(settings, callbacks, loggers, validation, keeper)
        try:
            trainer.fit(
                module, datamodule=words.data, ckpt_path=None if found is None else found[0]
            )
        except RuntimeError as error:
            lost = _lost(trainer)
            if lost is None:
                raise
            raise UserError(f"{lost}\n  {resuming(folder)} goes on") from error
        part_from_others()
    model.cpu()


def part_from_others() -> None:
    """End the process group, all together: its threads must not outlive the interpreter."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _lost(trainer: Trainer) -> str | None:
    """Which process that Lightning started has failed, None where none has."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        for rank, process in enumerate(launcher.procs, start=1):
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(timeout=5)  # its sockets close before it is gone
                if status < 0:
                    return f"the process of rank {rank} was killed by {Signals(-status).name}"
                if status > 0:
                    return f"the process of rank {rank} ended with status {status}"
    return None


def make_trainer(
    settings: Config,
    callbacks: list[Callback],
    loggers: list[RunLogger],
    validation: int,
    keeper: AtomicIO,
) -> Trainer:
    """A Trainer that does nothing each step but train."""
    options = settings.trainer
    return Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy=options.strategy,
        precision=options.precision,
        max_epochs=options.max_epochs,
        callbacks=callbacks,
        logger=loggers or False,
        plugins=[keeper, cluster_environment(options.devices)],
        enable_checkpointing=True,  # by our own callback: Lightning adds none where one is
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0 if validation == 0 else 1.0,
        use_distributed_sampler=False,
        inference_mode=False,  # the contractive penalty needs gradients in validation too
    )


def early_stopping(settings: Config) -> Stopping:
    """The callback of `trainer.early_stopping`."""
    options = settings.trainer.early_stopping
    assert options.patience is not None
    return Stopping(
        monitor=options.monitor,
        patience=options.patience,
        min_delta=options.min_delta,
        check_on_train_epoch_end=True,
        verbose=False,
    )


def is_complete(settings: Config, checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint is that of the last epoch, or of early stopping."""
    stopped = any(
        isinstance(state, dict) and state.get("stopped") is True
        for state in checkpoint.get("callbacks", {}).values()
    )
    solved = "optimizer_states" not in checkpoint
    # Lightning counts the epochs from 0
    done = checkpoint["epoch"] if PART in checkpoint else checkpoint["epoch"] + 1
    return solved or stopped or done >= settings.trainer.max_epochs


@contextmanager
def quiet() -> Iterator[None]:
    """Without the chatter of libraries; our own warnings go through the `aecore` logger."""
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


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C into Interrupted: Lightning would end the process on a KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise _Stop

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield
    except _Stop:
        raise Interrupted from None
    finally:
        signal.signal(signal.SIGINT, previous)
