"""The checks and the preparation of an experiment before any training."""

from __future__ import annotations

import logging
import math

import torch

from aecore.config.schema import Config
from aecore.data.module import ImageData
from aecore.errors import ConfigError, nearest
from aecore.model.autoencoder import Autoencoder
from aecore.model.comparable import is_trained_loss_comparable
from aecore.model.objectives.base import own_terms, weighted_term
from aecore.runs.open import open_run
from aecore.training.checks import check_length, check_training
from aecore.training.initial_weights import copy_weights
from aecore.training.ood import check_ood
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.optimizers.schedulers import Plateau
from aecore.training.setup import Experiment
from aecore.training.shape_model import shape_model, warn_of_memory
from aecore.types import ImageShape

log = logging.getLogger("aecore")

_STEPS = 1000  # fewer hardly train any model


def prepare(experiment: Experiment, model: Autoencoder | None = None) -> Autoencoder:
    """Read the data and build the model; UserError for any mistake in either.

    model: the one to train, where there is one already.
    """
    config, data = experiment.config, experiment.data
    shape = common_shape(data)
    record_columns(experiment)
    check_ood(experiment, shape)
    torch.manual_seed(config.seed)
    if model is None:
        classes = data.count_classes() if config.conditional else None
        warn_of_memory(shape_model(experiment, shape, classes))
        model = experiment.components.autoencoder(shape, data.statistics(), classes)
    resolve_sizes(experiment)
    attach_terms(experiment, model)
    check_length(experiment)
    model.prior.begin(model, data.train, config.seed)
    check_fits(experiment, model, len(data.train))
    if data.train.targets is not None and isinstance(experiment.optimizer, ClosedForm):
        problem = "PCA reconstructs its inputs, and these images have targets"
        raise ConfigError("optimizer", ..., problem, {"optimizer": "adam"})
    if experiment.init is not None:
        experiment.init.begin(model, data.train)
    model.reconstruction.begin(model, data.train.of_targets, config.seed)
    for penalty in model.penalties.values():
        penalty.begin(model, data.train.of_targets, config.seed)
    warn_of_schedules(experiment, model)
    regularised = model.penalties or model.objective.holds_prior
    if model.latent.variational and not regularised:
        log.warning(
            "penalty=none: no term relates the posterior to the prior; penalty=kl makes a VAE"
        )
    if config.init_from is not None:
        copy_weights(model, open_run(config.init_from))
    return model


def record_columns(experiment: Experiment) -> None:
    """Note the columns of a table in the configuration, by which later tables are matched."""
    config, columns = experiment.config, experiment.data.train.columns
    if columns is not None:
        config.dataset = {**config.dataset, "columns": list(columns)}


def resolve_sizes(experiment: Experiment) -> None:
    """Replace `auto` by numbers in the configuration, which the run records.

    Epochs: those of the data set, or as many as 1,000 steps of the optimizer take.
    """
    config, data = experiment.config, experiment.data
    config.dataset = {**config.dataset, "batch_size": data.batch_size}  # jobs may share the old one
    if config.trainer.max_epochs == "auto":
        images = data.batch_size * config.trainer.accumulate  # of a step of the optimizer
        enough = math.ceil(_STEPS * images / len(data.train))
        config.trainer.max_epochs = max(config.dataset["epochs"], enough)
    epochs = config.trainer.max_epochs  # recorded, so that a longer training does not stretch it
    config.penalty = {
        name: {**node, "epochs": epochs} if node.get("epochs", 0) is None else node
        for name, node in config.penalty.items()
    }


def attach_terms(experiment: Experiment, model: Autoencoder) -> None:
    """Tell each term how long the training is; ConfigError where one starts after its end."""
    images, epochs = len(experiment.data.train), experiment.max_epochs
    for penalty in model.penalties.values():
        penalty.attach(images, epochs)
    for name, weight in model.weights.items():
        weight.attach(experiment.data.train_dataloader().steps)
        if weight.start_epoch >= epochs:
            raise ConfigError(
                f"{term_path(model, name)}.start",
                weight.start,
                f"the training ends after {epochs} epochs, so this term never counts",
                "choose an earlier one",
            )


def term_path(model: Autoencoder, name: str) -> str:
    """The key of the options of a term of the loss."""
    if name == "reconstruction":
        return f"reconstruction.{model.reconstruction.name}"
    return model.penalties[name].path(name)


def check_unused(config: Config) -> None:
    """Raise UserError for a key that only other tasks read."""
    values = {"runs": config.runs, "out": config.out, "split": config.split}
    for key, value in {**values, "resize": config.resize or None}.items():
        if value is not None:
            where = "task=compare" if key == "runs" else "a trained run, run=... task=..."
            raise ConfigError(key, value, "training does not use it", f"it goes with {where}")


def check_fits(experiment: Experiment, model: Autoencoder, images: int) -> None:
    """Raise UserError if optimizer, sampler or others do not support the model or the data."""
    first = model.weights.get("reconstruction")
    if first is not None and first.start != 0:
        key, problem = term_path(model, "reconstruction"), "the first term counts from the start"
        raise ConfigError(f"{key}.start", first.start, problem, "put another term before it")
    experiment.optimizer.check(model, images)
    check_training(experiment, model.image_shape)
    if experiment.components.sampler is not None:
        experiment.components.sampler.check(model, images)
    if experiment.init is not None:
        experiment.init.check(model)
    check_monitor(experiment, model)


def warn_of_schedules(experiment: Experiment, model: Autoencoder) -> None:
    """Warn of a weight whose schedule has no effect, or does not end within the training."""
    epochs = experiment.max_epochs
    for name, weight in model.weights.items():
        key = term_path(model, name)
        if (weight.schedule == "constant") != (weight.warmup == 0):
            log.warning(
                "%s.schedule=%s with %s.warmup=%g is constant; schedule=linear warmup=10 grows "
                "over 10 epochs", key, weight.schedule, key, weight.warmup,
            )  # fmt: skip
        elif weight.warmup > epochs:
            log.warning(
                "%s.warmup=%g: the weight is still growing after the %d epochs of this training, "
                "but test/loss counts all of it", key, weight.warmup, epochs,
            )  # fmt: skip


def check_monitor(experiment: Experiment, model: Autoencoder) -> None:
    """Raise UserError where early stopping or `scheduler=plateau` has nothing to monitor."""
    options = experiment.config.trainer.early_stopping
    plateau = isinstance(experiment.scheduler, Plateau)
    if experiment.data.val_size == 0 and (plateau or options.patience is not None):
        patience = "trainer.early_stopping.patience"
        key, value = ("scheduler", "plateau") if plateau else (patience, options.patience)
        hint = {"dataset.val_size": 0.1, key: "none" if plateau else None}
        raise ConfigError(key, value, "there is no validation split", hint)
    if options.patience is None:
        return
    weighted = [weighted_term(name) for name in model.penalties]
    terms = ["loss", *own_terms(model), *model.penalties, *weighted]
    if not is_trained_loss_comparable(model):
        terms.append("running_loss")
    known = [f"val/{name}" for name in terms]
    if options.monitor not in known:
        raise ConfigError(
            "trainer.early_stopping.monitor",
            options.monitor,
            f"no such metric{nearest(options.monitor, known)}",
            f"known: {', '.join(known)}",
        )


def common_shape(data: ImageData) -> ImageShape:
    """The shape of train and test images; UserError where they differ."""
    train, test = data.train, data.test
    if train.image_shape != test.image_shape:
        raise ConfigError(
            "dataset",
            ...,
            f"train images are {train.image_shape}, test images {test.image_shape}",
            "both must have one shape (channels, height, width)",
        )
    return train.image_shape
