"""What prepares and checks an experiment before any training."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import torch

from aecore.config.schema import Config
from aecore.data.module import ImageData
from aecore.errors import ConfigError, Hint, UserError, nearest
from aecore.model.autoencoder import Autoencoder
from aecore.model.objectives.base import own_terms, weighted_term
from aecore.training.machine import check_device
from aecore.training.setup import Experiment, build_experiment, check_logger
from aecore.types import ImageShape

log = logging.getLogger("aecore")


def prepare(parts: Experiment, model: Autoencoder | None = None) -> Autoencoder:
    """Read the data and make the model; all that can be wrong with either is found here.

    model: the one that is to be trained, where there is one already.
    """
    data = parts.data
    shape = common_shape(data)
    check_ood(parts, shape)
    torch.manual_seed(parts.settings.seed)
    if model is None:
        shift, scale = data.statistics() if data.range == "standardised" else (None, None)
        classes = data.count_classes() if parts.settings.conditional else None
        model = parts.components.autoencoder(shape, shift, scale, classes)
    for penalty in model.penalties.values():
        penalty.attach(len(data.train))
    model.prior.begin(model, data.train, parts.settings.seed)
    check_fits(parts, model, len(data.train))
    if parts.init is not None:
        parts.init.begin(model, data.train)
    warn_of_schedules(parts, model)
    held = model.penalties or model.objective.holds_prior
    if model.latent.variational and not held:
        log.warning(
            "penalty=none: nothing holds this posterior to the prior; penalty=kl makes a VAE"
        )
    return model


def check_unused(settings: Config) -> None:
    """Raise UserError for a key that only other tasks read."""
    given = {"runs": settings.runs, "out": settings.out, "split": settings.split}
    for key, value in {**given, "resize": settings.resize or None}.items():
        if value is not None:
            where = "task=compare" if key == "runs" else "a trained run, run=... task=..."
            raise ConfigError(key, value, "training has no use for it", f"it goes with {where}")


def check_fits(parts: Experiment, model: Autoencoder, images: int) -> None:
    """Raise UserError where a word beside the model does not fit it, or so many images."""
    parts.optimizer.check(model, images)
    if parts.components.sampler is not None:
        parts.components.sampler.check(model, images)
    if parts.init is not None:
        parts.init.check(model)
    check_monitor(parts, model)


def warn_of_schedules(parts: Experiment, model: Autoencoder) -> None:
    """Warn of a weight that does not grow as was asked, or not to its end."""
    epochs = parts.settings.trainer.max_epochs
    for name, weight in model.weights.items():
        key = f"penalty.{name}"
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


def check_monitor(parts: Experiment, model: Autoencoder) -> None:
    """Raise UserError where early stopping would wait for a metric that never comes."""
    options = parts.settings.trainer.early_stopping
    if options.patience is None:
        return
    if parts.data.val_size == 0:
        key = "trainer.early_stopping.patience"
        hint = {"dataset.val_size": 0.1, key: None}
        raise ConfigError(key, options.patience, "there is no validation split", hint)
    weighted = [weighted_term(name) for name in model.penalties]
    terms = ["loss", *own_terms(model), *model.penalties, *weighted]
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


def check_ood(parts: Experiment, shape: ImageShape) -> None:
    """Read the other data sets; UserError where one cannot be read or has images of other shapes.

    shape: of the images that the model is made for.
    """
    for name, data in parts.ood.items():
        where, node = f"evaluate.ood.{name}", parts.settings.evaluate.ood[name]
        try:
            found = data.test.image_shape
        except UserError as error:
            raise _of_ood(error, where, node) from error
        if found != shape:
            hint: Hint = "choose data sets of that shape"
            if "shape" in node:
                hint = {f"{where}.shape": shape}
            elif "image_size" in node:
                hint = {f"{where}.image_size": shape[1:]}
            problem = f"its images are {found}, those of dataset {shape}"
            raise ConfigError(where, ..., problem, hint)


def _of_ood(error: UserError, where: str, node: Mapping[str, Any]) -> UserError:
    """An error about `dataset`, where it is about another data set, of so many options of its own.

    All other options are those of the run's own data set.
    """
    if isinstance(error, ConfigError):
        own = {"dataset": where} if error.key == "dataset" else {}
        error = error.renamed(own | {f"dataset.{key}": f"{where}.{key}" for key in node})
        if error.key.startswith(where):
            return error
    return UserError(f"{where}: {error.summary}", error.hint)


class ConfigChecker:
    """Checks many configurations before any of them runs, reading each data set once."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[ImageShape, int, int | None]] = {}

    def check(self, config: dict[str, Any]) -> None:
        """Raise UserError where `prepare` would."""
        parts = build_experiment(config)
        check_unused(parts.settings)
        check_device(parts.settings)
        check_logger(parts.settings)
        conditional = parts.settings.conditional
        read = [config["dataset"], parts.settings.evaluate.ood, conditional]
        key = json.dumps(read, sort_keys=True)
        if key not in self._seen:
            shape = common_shape(parts.data)
            check_ood(parts, shape)
            classes = parts.data.count_classes() if conditional else None
            self._seen[key] = shape, len(parts.data.train), classes
        shape, images, classes = self._seen[key]
        with torch.device("meta"):  # shapes without numbers
            one = torch.ones(1, 1, 1) if parts.data.range == "standardised" else None
            model = parts.components.autoencoder(shape, one, one, classes)
        check_fits(parts, model, images)
