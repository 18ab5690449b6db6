"""Training in Python: `ae = aecore.fit("model=vae latent.dim=8", images)`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch

from aecore.api.arguments import (
    MODEL,
    TRAINING,
    as_overrides,
    check_overrides,
    composed,
    in_python,
    value_of,
)
from aecore.api.save import begin_run
from aecore.api.trained import FitResult, Trained
from aecore.config.build import known_keys, validate
from aecore.config.compose import Composition
from aecore.config.folders import expanded
from aecore.config.overrides import Override, as_override, read
from aecore.config.schema import Config
from aecore.data.module import ImageData
from aecore.data.pixels import Array, as_images
from aecore.data.sources.given import Given, given_split
from aecore.data.split import Split
from aecore.errors import UserError, short
from aecore.evaluation.collapse import warn_if_collapsed
from aecore.evaluation.evaluate import evaluate
from aecore.model.autoencoder import Autoencoder
from aecore.model.components import build_components
from aecore.model.slots import named
from aecore.runs.folder import read_history, write_metrics
from aecore.runs.lock import writing
from aecore.runs.open import open_run
from aecore.runs.validation import trusting
from aecore.training.callbacks.progress import Progress, has_bar
from aecore.training.experiment import train
from aecore.training.machine import device_named
from aecore.training.prepare import prepare
from aecore.training.setup import Experiment, build_experiment
from aecore.training.timing import timing
from aecore.training.trial import make_trial
from aecore.types import ImageShape, Shape

_DEFAULTS = read(["figures=none", "logger=none", "model=ae"])
_ACCELERATORS = {"cuda": "gpu"}  # Lightning's names of devices
_BATCH = 128
Progressing = bool | Literal["auto"]
_SHOWN = 8  # images that a model keeps for its HTML view


def fit(
    model: Autoencoder | str | Sequence[str],
    images: Array,
    labels: Array | None = None,
    *,
    targets: Array | None = None,
    overrides: str | Sequence[str] = (),
    epochs: int = 10,
    batch_size: int | None = None,
    lr: float | None = None,
    validation: float = 0.1,
    seed: int = 0,
    device: str = "auto",
    folder: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: Progressing = "auto",
) -> Trained:
    """Train a model on images, as the command line would.

    model: overrides as on the command line, `"model=vae latent.dim=8"`, or a list of them; a name
        alone is a preset, `"vae"`. Or an `Autoencoder`, which is trained in place.
    images: (N, C, H, W), (N, H, W) or the rows of a table (N, D); uint8 0..255, or floats in
        [0, 1] (any numbers with `dataset.range=standardised`).
    labels: (N,) integers from 0, for class-conditional models.
    targets: as images, what the outputs are compared with; None for the images themselves.
    overrides: further ones; beside an `Autoencoder` those of its training, `"optimizer=adamw"`.
    batch_size: None for 128, or all images if there are fewer. lr: None for that of the optimizer.
    validation: a share or a number of the images, held out to be evaluated.
    seed: of everything random; the same gives the same bits on one CPU and number of threads.
    device: "auto", "cpu", "cuda" or "mps".
    folder: keeps the run there, for `aecore.load` and the command line; None leaves no file.
    config_dir: a folder of your own YAML files, whose options the overrides may choose.
    progress: whether to show a bar, or a line per epoch where there is no terminal and no notebook;
        "auto" shows the bar alone.

    Raises UserError before any training, NonFiniteError and Interrupted.
    """
    joined = model if isinstance(model, Autoencoder) else None
    chosen = as_overrides(overrides)
    if not isinstance(model, Autoencoder):
        chosen = (*as_overrides(model), *chosen)
    check_overrides(chosen, TRAINING if joined else (*MODEL, *TRAINING))
    if lr is not None and value_of("optimizer.lr", chosen) is not None:
        raise UserError("lr and optimizer.lr are the same", "give one of them")
    if joined is not None:
        range_ = "standardised" if joined.standardised else "unit"
        chosen = (*chosen, *read([f"dataset.range={range_}"]))
    standardised = value_of("dataset.range", chosen) == "standardised"
    split = _split(images, labels, targets, joined, standardised)
    place = device_named(device)
    if place.index is not None:
        raise UserError(f"device={device}: training takes the first", f"use device={place.type}")
    options = {
        "trainer.max_epochs": epochs,
        "dataset.val_size": validation,
        "dataset.batch_size": "auto" if batch_size is None else batch_size,
        "trainer.accelerator": _ACCELERATORS.get(place.type, place.type),
        "seed": seed,
        **({} if lr is None else {"optimizer.lr": lr}),
    }
    keep = None if folder is None else _as_path(folder)
    devices = range(torch.cuda.device_count()) if place.type == "cuda" else ()
    with in_python(), trusting(config_dir), torch.random.fork_rng(devices):
        given = read(as_override(key, value) for key, value in options.items())
        prepared = _prepare(composed([*_DEFAULTS, *chosen, *given]), split, joined)
        return _train(prepared, keep, place, progress)


def _split(
    images: Array,
    labels: Array | None,
    targets: Array | None,
    joined: Autoencoder | None,
    standardised: bool,
) -> Split:
    """The images as a data set, of the shape and classes of a model that is there already."""
    if joined is None:
        return given_split(images, labels, any_range=standardised, targets=targets)
    shape = joined.image_shape
    images = as_images(images, shape)
    return given_split(images, labels, shape, joined.classes, standardised, targets)


def code_shape(overrides: Sequence[Override], shape: ImageShape) -> Shape:
    """The shape of the codes of a model for images (C, H, W); raises UserError as `fit` does."""
    with in_python(), torch.random.fork_rng([]):
        components = build_components(validate(Config, composed([*_DEFAULTS, *overrides]).config))
        return components.latent.attach(components.network.feature_shape(shape))


def _as_path(folder: object) -> Path:
    """The path of a folder; UserError if it is invalid."""
    if not isinstance(folder, str | os.PathLike):
        raise UserError(f"folder={short(folder)}: no folder", "give its path")
    return expanded(folder)


@dataclass(frozen=True)
class _Prepared:
    """An experiment about to be trained, with what its run records."""

    config: dict[str, Any]
    experiment: Experiment
    model: Autoencoder
    choices: dict[str, Any]
    overrides: list[str]


def _prepare(job: Composition, split: Split, joined: Autoencoder | None) -> _Prepared:
    """Everything checked, nothing written; UserError for what cannot be trained."""
    common = {*known_keys(ImageData), "epochs"}
    data = {key: value for key, value in job.config["dataset"].items() if key in common}
    config = {
        **job.config,
        "dataset": {"_target_": "aecore.data.sources.given.Given", **data},
    }
    experiment, choices = build_experiment(config), {**job.choices, "dataset": "given"}
    experiment.data.source = Given.of(split)
    if joined is not None:
        joined.cpu().train()
        config |= {**joined.nodes, "conditional": joined.classes is not None}
        experiment = replace(experiment, config=validate(Config, config))
        choices |= {"model": "joined in Python", **named(joined.nodes)}
    model = prepare(experiment, joined)
    return _Prepared(config, experiment, model, choices, job.overrides)


def _train(
    run: _Prepared, keep: Path | None, place: torch.device, progress: Progressing
) -> Trained:
    """Train and evaluate, and keep the run if it is to be kept."""
    model, data = run.model, run.experiment.data
    if keep is not None:
        begin_run(keep, run.config, run.choices, run.overrides)
    with TemporaryDirectory() if keep is None else writing(keep) as at:
        folder = Path(at)
        shown = progress is True or (progress == "auto" and has_bar())
        callbacks = [Progress(brief=False)] if shown else []
        train(run.experiment, model, folder, callbacks=callbacks)
        metrics = _metrics(run, folder)
        if keep is not None:
            write_metrics(keep, metrics)
    some = data.train if data.val is None else data.val
    some = some.subset(torch.arange(min(_SHOWN, len(some))))
    labels = None if model.classes is None else some.labels
    fitted = FitResult(metrics, some.pixels(), labels, run.experiment.config, run.choices)
    return Trained(model.to(place).eval(), None if keep is None else open_run(keep), fitted)


def _metrics(run: _Prepared, folder: Path) -> dict[str, float]:
    """The losses of the last epoch, and all metrics of the validation images if there are some."""
    rows, data = read_history(folder), run.experiment.data
    metrics = {key: value for key, value in (rows or [{}])[-1].items() if key.startswith("train/")}
    if data.val is not None:
        trial = make_trial(run.experiment, run.model, images=data.val, name="val", ood={})
        chosen = run.experiment
        metrics |= evaluate(trial, metrics=chosen.metrics, noise=chosen.test_noise)
        warn_if_collapsed(trial)
    return metrics | timing(rows)
