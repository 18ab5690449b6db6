"""Fitting a model: gradient descent through Lightning's Trainer, or a closed-form solution."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from aecore.config.folders import resuming
from aecore.errors import Interrupted, UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import BEST, LAST, check_weights, evaluates_best
from aecore.runs.folder import HISTORY
from aecore.runs.record import make_record
from aecore.training.callbacks.checkpoint import AtomicIO, Checkpoints, save_weights
from aecore.training.callbacks.early_stopping import ResumableEarlyStopping
from aecore.training.callbacks.history import History
from aecore.training.callbacks.images import Images
from aecore.training.descent import Descent
from aecore.training.loggers.base import RunLogger
from aecore.training.machine import cuda_checked_by_torch
from aecore.training.module import StoppedError, Training
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.resume import ResumePoint
from aecore.training.setup import Experiment
from aecore.training.signals import deferred, is_listening, listening, received
from aecore.training.trainer import make_trainer, quiet


def fit(
    experiment: Experiment,
    model: Autoencoder,
    folder: Path,
    checkpoint: ResumePoint | None = None,
    loggers: Sequence[RunLogger] = (),
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train the model and save its checkpoints in `folder/checkpoints`.

    In the end the model has the weights that are evaluated (`evaluate.weights`), as they were in
    memory and not as a file has them that another process may have replaced.

    checkpoint: where an interrupted training continues.
    callbacks: beside those of every training: history, checkpoints, logged images and early
        stopping. None may change the arithmetic.

    Raises NonFiniteError and Interrupted.
    """
    config, data = experiment.config, experiment.data
    checkpoints = folder / "checkpoints"
    record = make_record(config, model.image_shape, data.train.class_names)
    if isinstance(experiment.optimizer, ClosedForm):
        experiment.optimizer.solve(model, data.train.pixels(), config.seed)
        save_weights(model, checkpoints / LAST, record)
        return
    assert isinstance(experiment.optimizer, GradientDescent)
    options, stopping = config.trainer, config.trainer.early_stopping
    module = Training(
        model,
        experiment.optimizer,
        experiment.scheduler,
        seed=config.seed,
        log_every=options.log_every,
        descent=Descent(options.accumulate, options.gradient_clip, options.warmup),
        augment=experiment.augment,
        ema=options.ema,
        compile_mode=options.compile,
    )
    saving = Checkpoints(
        checkpoints, options.checkpoint_minutes, stopping.monitor, keep=evaluates_best(config)
    )
    all_callbacks = [History(folder / HISTORY), saving, *callbacks]
    if stopping.patience is not None:
        early = ResumableEarlyStopping(
            stopping.monitor,
            min_delta=stopping.min_delta,
            patience=stopping.patience,
            check_on_train_epoch_end=True,
        )
        all_callbacks.append(early)
    if any(logger.takes_images for logger in loggers):
        all_callbacks.append(Images(images=8, dims=16, points=1000, seed=config.seed))
    # in a program that is not ours only Ctrl-C is noted
    with quiet(), nullcontext() if is_listening() else listening((SIGINT,)), deferred():
        validate = data.val is not None and len(data.val) > 0
        idle = any(weight.start for weight in model.weights.values())
        resumed = None if checkpoint is None else checkpoint.checkpoint
        trainer = make_trainer(
            config, all_callbacks, loggers, AtomicIO(record, resumed), validate=validate, idle=idle
        )
        with _ending_ranks(trainer, folder), cuda_checked_by_torch():
            path = None if checkpoint is None else checkpoint.path
            trainer.fit(module, datamodule=data, ckpt_path=path)
    model.cpu()
    if options.ema is not None:
        model.load_state_dict(module.evaluated.state_dict())
    if saving.weights is not None:
        check_weights(model.state_dict(), saving.weights, checkpoints / BEST)
        model.load_state_dict(saving.weights)


@contextmanager
def _ending_ranks(trainer: Trainer, folder: Path) -> Iterator[None]:
    """End the processes of all ranks after the training, and report the one that failed."""
    try:
        yield
    except StoppedError:
        leave_process_group()
        _failed_rank(trainer)  # waits for the other processes
        raise Interrupted(received() or SIGTERM) from None
    except RuntimeError as error:
        failure = _failed_rank(trainer)
        if failure is None:
            raise
        raise UserError(failure, f"{resuming(folder)} continues") from error
    leave_process_group()


def leave_process_group() -> None:
    """End the process group of all ranks: its threads must not outlive the interpreter."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _failed_rank(trainer: Trainer) -> str | None:
    """How a process that Lightning started has failed, None where none has."""
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
