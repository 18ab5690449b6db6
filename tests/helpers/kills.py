"""A run that is killed at a moment of its training, with everything logged before on the disk."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.tasks.resume import recorded_run
from aecore.training import experiment
from aecore.training.module import Training
from aecore.training.setup import build_experiment
from helpers.commands import FORKED

MOMENTS = {
    "before the first checkpoint": ("on_train_batch_end", 5),
    "between the log and the checkpoint": ("on_train_epoch_end", 20),  # Lightning saves last
    "after the checkpoint": ("on_train_epoch_start", 20),
    "after the first images": ("on_train_epoch_start", 10),
    "within an epoch": ("on_train_batch_end", 25),
    "at the end of the training": ("on_train_end", 30),
    "before the metrics are written": ("write_metrics", 0),
}


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killing(Callback):
    """SIGKILL in a hook, once so many steps are done, with all events on the disk."""

    def __init__(self, hook: str, step: int) -> None:
        def kill(trainer: Trainer, module: LightningModule, *_: Any) -> None:
            assert isinstance(module, Training)
            if module.step >= step:
                for logger in trainer.loggers:
                    logger.save()
                _die()

        setattr(self, hook, kill)


def _run(argv: list[str], folder: Path, resumed: bool, moment: str) -> None:
    hook, step = MOMENTS[moment]
    if hook == "write_metrics":
        experiment.write_metrics = _die
    if resumed:
        request = recorded_run(folder, [])
        config, choices = request.config, request.choices
    else:
        composed = compose(parse(argv))
        config, choices = composed.config, composed.choices
    experiment.run(
        build_experiment(config),
        lambda: folder,
        choices=choices,
        overrides=[],
        resumed=resumed,
        callbacks=lambda: [Killing(hook, step)],
    )


def killed(argv: list[str], folder: Path, moment: str) -> None:
    """Start that run, or go on with it, in another process, which is killed at that moment."""
    arguments = (argv, folder, (folder / "config.yaml").exists(), moment)
    folder.mkdir(exist_ok=True)
    process = FORKED.Process(target=_run, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
