"""Checks of the options of a training against its data, its device and its length."""

from __future__ import annotations

import logging

from aecore.config.schema import Config
from aecore.errors import ConfigError, shown
from aecore.training.descent import Descent
from aecore.training.machine import device_of
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.setup import Experiment
from aecore.types import ImageShape, is_table

log = logging.getLogger("aecore")


def check_training(experiment: Experiment, shape: ImageShape) -> None:
    """Raise ConfigError where the options of the training do not fit the data or the device.

    shape: of the training images, (C, H, W).
    """
    config = experiment.config
    if isinstance(experiment.optimizer, ClosedForm):
        check_steps_unused(config)
    if config.trainer.precision == "16-mixed" and device_of(config).type != "cuda":
        key = "trainer.precision"
        problem = "float16 needs a CUDA GPU"
        raise ConfigError(key, "16-mixed", problem, {key: f"bf16-mixed or {key}=32-true"})
    if experiment.augment is not None:
        check_augment(experiment, shape)


def check_steps_unused(config: Config) -> None:
    """Raise ConfigError for an option of steps, of which a closed form makes none."""
    options = config.trainer
    given: dict[str, tuple[object, object]] = {
        "augment": ([*(config.augment.model_extra or {})], []),
        "trainer.accumulate": (options.accumulate, 1),
        "trainer.warmup": (options.warmup, 0),
        "trainer.ema": (options.ema, None),
    }
    for key, (value, default) in given.items():
        if value != default:
            problem = "optimizer=closed_form solves the model without any step"
            raise ConfigError(key, value, problem, {key: "none" if default == [] else default})


def check_augment(experiment: Experiment, shape: ImageShape) -> None:
    """Raise ConfigError for an augmentation that images of this shape cannot have."""
    augment = experiment.augment
    assert augment is not None
    if is_table(shape):
        problem = "the rows of a table have no places that could be moved"
        raise ConfigError("augment", [*augment.changes], problem, {"augment": "none"})
    binarise = experiment.config.dataset.get("binarise")
    for name, change in augment.changes.items():
        change.check(shape)
        if binarise is not None and change.interpolates and not augment.input_only:
            raise ConfigError(
                f"augment={name}", ..., f"makes grey pixels, dataset.binarise={binarise} none",
                {"augment.input_only": True, "augment": "[flip,shift,erase]"},
            )  # fmt: skip


def check_length(experiment: Experiment) -> None:
    """Raise ConfigError for options longer than an epoch, or than the training; warn of others.

    After `resolve_sizes`, which decides about both.
    """
    if isinstance(experiment.optimizer, ClosedForm):
        return
    options, epochs = experiment.config.trainer, experiment.max_epochs
    batches = experiment.data.train_dataloader().steps
    if options.accumulate > batches:
        problem = f"an epoch has only {batches} mini-batches"
        hint = {"trainer.accumulate": f"{batches} or less", "dataset.batch_size": "a smaller one"}
        raise ConfigError("trainer.accumulate", options.accumulate, problem, hint)
    if options.warmup >= epochs:
        problem = f"the training ends after {epochs} epochs, before the full learning rate"
        raise ConfigError("trainer.warmup", options.warmup, problem, "choose fewer epochs")
    steps = epochs * Descent(options.accumulate).updates(batches)
    if options.ema is not None and (1 - options.ema) * steps < 1:
        log.warning(
            "trainer.ema=%s averages over some %s steps of the optimizer, and the training has "
            "only %s: the weights that are evaluated are hardly trained",
            shown(options.ema), f"{1 / (1 - options.ema):,.0f}", f"{steps:,}",
        )  # fmt: skip
