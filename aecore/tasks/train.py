"""`task=train`: train, measure, picture."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from aecore import results
from aecore.autoencoder import Autoencoder
from aecore.callbacks.checkpoint import latest_good
from aecore.callbacks.history import timing
from aecore.collapse import foretell, warn_if_collapsed
from aecore.data.module import ImageData
from aecore.errors import Interrupted, NonFiniteLoss, UserError, nearest
from aecore.experiment import (
    Words,
    build_logger,
    check_device,
    check_logger,
    set_threads,
    words,
)
from aecore.fitting import fit, is_complete
from aecore.loggers import recording
from aecore.measuring import draw_figures, measure, tested
from aecore.objectives.base import own_terms, weighted_term
from aecore.ranks import check_processes, is_leader
from aecore.samplers.kept import FILE as SAMPLER
from aecore.sampling import add_sampler
from aecore.schema import Root
from aecore.tasks.base import Request, Task
from aecore.tasks.report import announce, flat_parameters, one_line, summary
from aecore.types import ImageShape
from aecore.weights import BEST, LAST, load, load_weights
from aecore.words import word

log = logging.getLogger("aecore")


class Train(Task):
    """Trains a model, measures it on the test split, draws its figures, writes the run folder.

    metrics.json is written last, so a folder that has one is finished; until then `resume`
    goes on from the last checkpoint, or from there to the evaluation.
    """

    @word
    def __init__(self) -> None: ...

    def __call__(self, request: Request) -> dict[str, float]:
        config = request.config
        parts = words(config)
        check_device(parts.settings)
        check_logger(parts.settings)
        if not (request.resumed or request.brief):  # else it was asked when that began
            check_unused(parts.settings)
        options = parts.settings.trainer
        check_processes(options.devices, options.num_nodes)
        options.threads = set_threads(options.threads, options.devices)
        config["trainer"]["threads"] = options.threads
        model = prepare(parts)
        init_from = parts.settings.init_from
        if init_from is not None:
            results.read_config(Path(init_from))
            path = Path(init_from) / "checkpoints" / LAST
            load_weights(model, load(path), path)
        if not is_leader():
            return follow(parts, model, request)
        for logger in build_logger(parts.settings, Path(os.devnull), None):
            logger.check()
        folder = request.folder()
        found = latest_good(folder / "checkpoints") if request.resumed else None
        done = results.read_metrics(folder) if request.resumed else None
        if done is not None and found is not None and is_complete(parts.settings, found[1]):
            print(self._told(request, parts.settings, model.image_shape, done, folder))
            return done
        for name in (results.METRICS, SAMPLER):  # of weights that will be others
            (folder / name).unlink(missing_ok=True)
        if not request.resumed:
            results.write_run(folder, request.words, request.overrides)
        results.write_config(folder, config)  # last: it is what makes the folder a run
        if request.brief:
            print(f"job {folder.name}: {' '.join(request.overrides)}", flush=True)
        else:
            print(announce(request, parts, model, folder, found), flush=True)
        metrics = self._run(parts, model, folder, found, request)
        print(self._told(request, parts.settings, model.image_shape, metrics, folder), flush=True)
        return metrics

    def _told(
        self,
        request: Request,
        settings: Root,
        shape: ImageShape,
        metrics: dict[str, float],
        folder: Path,
    ) -> str:
        if request.brief:
            return one_line(metrics)
        output_dir = request.config["paths"]["output_dir"]
        return summary(metrics, shape, folder, output_dir, build_logger(settings, folder, None))

    def _run(
        self,
        parts: Words,
        model: Autoencoder,
        folder: Path,
        found: tuple[Path, dict[str, Any]] | None,
        request: Request,
    ) -> dict[str, float]:
        settings = parts.settings
        # events after the checkpoint's step are written again, its own are not
        loggers = build_logger(settings, folder, None if found is None else found[1]["step"] + 1)
        with recording(loggers):
            if found is None:
                foretell(model, parts.data.train)
            if found is None or not is_complete(settings, found[1]):
                for logger in loggers:
                    logger.hparams(flat_parameters(request))
                fit(parts, model, folder, found, loggers, brief=request.brief)
            last, best = (folder / "checkpoints" / name for name in (LAST, BEST))
            chosen = best if settings.evaluate.weights == "best" and best.exists() else last
            load_weights(model, load(chosen), chosen)
            add_sampler(parts, model, folder)
            material = tested(parts)
            metrics = measure(parts, model, material) | timing(results.read_history(folder))
            warn_if_collapsed(model, material.images)
            draw_figures(parts, model, material, folder, folder)
            for logger in loggers:
                logger.results(metrics)
                logger.finalize("success")
        results.write_metrics(folder, metrics)
        return metrics


def follow(parts: Words, model: Autoencoder, request: Request) -> dict[str, float]:
    """Train along with the leader of several processes, writing nothing; returns no metrics."""
    found = latest_good(request.folder() / "checkpoints") if request.resumed else None
    if found is None or not is_complete(parts.settings, found[1]):
        with suppress(NonFiniteLoss, Interrupted):  # which the leader meets too, and tells
            fit(parts, model, Path(os.devnull), found, [], brief=True)
    return {}


def prepare(parts: Words, model: Autoencoder | None = None) -> Autoencoder:
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
        model = parts.sentence.autoencoder(shape, shift, scale, classes)
    for penalty in model.penalties.values():
        penalty.attach(len(data.train))  # type: ignore[operator]
    model.prior_word.begin(model, data.train, parts.settings.seed)
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


def check_unused(settings: Root) -> None:
    """Raise UserError for a key that only other tasks read."""
    given = {"runs": settings.runs, "out": settings.out, "split": settings.split}
    for key, value in {**given, "resize": "true" if settings.resize else None}.items():
        if value is not None:
            where = "task=compare" if key == "runs" else "a trained run, run=... task=..."
            raise UserError(f"{key}={value}: training has no use for it\n  it goes with {where}")


def check_fits(parts: Words, model: Autoencoder, images: int) -> None:
    """Raise UserError where a word beside the model does not fit it, or so many images."""
    parts.optimizer.check(model, images)
    if parts.sentence.sampler is not None:
        parts.sentence.sampler.check(model, images)
    if parts.init is not None:
        parts.init.check(model)
    check_monitor(parts, model)


def warn_of_schedules(parts: Words, model: Autoencoder) -> None:
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


def check_monitor(parts: Words, model: Autoencoder) -> None:
    """Raise UserError where early stopping would wait for a metric that never comes."""
    options = parts.settings.trainer.early_stopping
    if options.patience is None:
        return
    if parts.data.val_size == 0:
        raise UserError(
            f"trainer.early_stopping.patience={options.patience}: there is no validation split\n"
            "  use dataset.val_size=0.1, or trainer.early_stopping.patience=null"
        )
    weighted = [weighted_term(name) for name in model.penalties]
    terms = ["loss", *own_terms(model), *model.penalties, *weighted]
    known = [f"val/{name}" for name in terms]
    if options.monitor not in known:
        raise UserError(
            f"trainer.early_stopping.monitor={options.monitor}: no such metric"
            f"{nearest(options.monitor, known)}\n  known: {', '.join(known)}"
        )


def common_shape(data: ImageData) -> ImageShape:
    """The shape of train and test images; UserError where they differ."""
    train, test = data.train, data.test
    if train.image_shape != test.image_shape:
        raise UserError(
            f"dataset: train images are {train.image_shape}, test images {test.image_shape}\n"
            "  both must have one shape (channels, height, width)"
        )
    return train.image_shape


def check_ood(parts: Words, shape: ImageShape) -> None:
    """Read the other data sets; UserError where one cannot be read or has images of other shapes.

    shape: of the images that the model is made for.
    """
    for name, data in parts.ood.items():
        where, node = f"evaluate.ood.{name}", parts.settings.evaluate.ood[name]
        try:
            found = data.test.image_shape
        except UserError as error:
            text = str(error)
            for key in node:
                text = text.replace(f"dataset.{key}", f"{where}.{key}")
            raise UserError(text if text.startswith(where) else f"{where}: {text}") from error
        if found != shape:
            mend = "choose data sets of that shape"
            if "shape" in node:
                mend = f"use {where}.shape=[{','.join(str(n) for n in shape)}]"
            elif "image_size" in node:
                mend = f"use {where}.image_size=[{shape[1]},{shape[2]}]"
            raise UserError(f"{where}: its images are {found}, those of dataset {shape}\n  {mend}")


class Shapes:
    """Checks many configurations before any of them runs, reading each data set once."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[ImageShape, int, int | None]] = {}

    def check(self, config: dict[str, Any]) -> None:
        """Raise UserError where `prepare` would."""
        parts = words(config)
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
            model = parts.sentence.autoencoder(shape, one, one, classes)
        check_fits(parts, model, images)
