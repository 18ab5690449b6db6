"""Training in Python: `ae = aecore.fit("model=vae latent.dim=8", images)`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from aecore.api.arguments import MODEL, TRAINING, check_said, in_python, listed, value_of
from aecore.api.trained import FitResult, Trained
from aecore.config.build import known_keys, validate
from aecore.config.compose import Composition, compose
from aecore.config.folders import own_folders
from aecore.config.overrides import Arguments, Override, parse, read
from aecore.config.schema import Config
from aecore.data.module import ImageData
from aecore.data.pixels import Array, as_images
from aecore.data.sources.given import Given, given_split
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.evaluation.collapse import warn_if_collapsed
from aecore.evaluation.evaluate import evaluate
from aecore.model.autoencoder import Autoencoder
from aecore.model.components import build_components
from aecore.model.slots import named
from aecore.runs.folder import is_run, read_history, write_config, write_metrics, write_run
from aecore.runs.open import open_run
from aecore.runs.validation import check_targets, trusting
from aecore.training.callbacks.progress import Progress
from aecore.training.experiment import train
from aecore.training.machine import device_named
from aecore.training.prepare import prepare
from aecore.training.setup import Experiment, build_experiment
from aecore.training.timing import timing
from aecore.training.trial import make_trial
from aecore.types import ImageShape, Shape

_ALWAYS = read(["figures=none", "logger=none", "model=ae"])
_ACCELERATORS = {"cuda": "gpu"}  # what a device is called there
_BATCH = 128
_SHOWN = 8  # images that a model keeps to show itself


def fit(
    model: Autoencoder | str | Sequence[str],
    images: Array,
    labels: Array | None = None,
    *,
    words: str | Sequence[str] = (),
    epochs: int = 10,
    batch_size: int | None = None,
    lr: float | None = None,
    validation: float = 0.1,
    seed: int = 0,
    device: str = "auto",
    folder: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: bool = False,
) -> Trained:
    """Train a model on images, as the command line would.

    model: the words of a sentence as on the command line, `"model=vae latent.dim=8"`, or a list of
        such; a single word is a preset, `"vae"`. Or an `Autoencoder`, which is trained in place.
    images: (N, C, H, W), (N, H, W) or the rows of a table (N, D); uint8 0..255, or floats in
        [0, 1] (any numbers where the sentence has `dataset.range=standardised`).
    labels: (N,) whole numbers from 0, which conditional models are told.
    words: more of the sentence; beside an `Autoencoder` of its training, `"optimizer=adamw"`.
    batch_size: None for 128, or all images where they are fewer. lr: None for the optimizer's own.
    validation: a share or a number of the images, which are measured and not learned.
    seed: of everything random; the same gives the same bits on one CPU and number of threads.
    device: "auto", "cpu", "cuda" or "mps".
    folder: keeps the run there, for `aecore.load` and the command line; None leaves no file.
    config_dir: a folder of your own YAML files, whose words the sentence may say.
    progress: whether to print a line an epoch, or to show a bar on a terminal.

    Raises UserError before any training, NonFiniteLoss and Interrupted.
    """
    joined = model if isinstance(model, Autoencoder) else None
    said = listed(words) if isinstance(model, Autoencoder) else (*listed(model), *listed(words))
    check_said(said, TRAINING if joined else (*MODEL, *TRAINING))
    if lr is not None and value_of("optimizer.lr", said) is not None:
        raise UserError("lr and optimizer.lr are the same\n  give one of them")
    if joined is None:
        any_range = value_of("dataset.range", said) == "standardised"
        split = given_split(images, labels, any_range=any_range)
    else:
        shape, classes = joined.image_shape, joined.classes
        images = as_images(images, shape)
        split = given_split(images, labels, shape, classes, joined.standardised)
        range_ = "standardised" if joined.standardised else "unit"
        said = (*said, *read([f"dataset.range={range_}"]))
    place = device_named(device)
    if place.index is not None:
        raise UserError(f"device={device}: training takes the first\n  use device={place.type}")
    options = {
        "trainer.max_epochs": epochs,
        "dataset.val_size": validation,
        "dataset.batch_size": _batch(len(split), validation) if batch_size is None else batch_size,
        "trainer/accelerator": _ACCELERATORS.get(place.type, place.type),
        "seed": seed,
        **({} if lr is None else {"optimizer.lr": lr}),
    }
    overrides = (*_ALWAYS, *said, *read(f"{key}={value}" for key, value in options.items()))
    own = [] if config_dir is None else ["--config-dir", str(config_dir)]
    keep = None if folder is None else _place(folder)
    drawing = range(torch.cuda.device_count()) if place.type == "cuda" else ()
    with in_python(), trusting(config_dir), torch.random.fork_rng(drawing):
        run = _prepared(replace(parse(own), overrides=overrides), split, joined)
        return _trained(run, keep, place, progress)


def latent_of(
    said: Sequence[Override], shape: ImageShape, **changes: Any
) -> tuple[set[str], Shape]:
    """The keys of a sentence's latent, and its codes' shape where those of `changes` are changed.

    Changes that are no keys of it are left out. Raises UserError as `fit` does.
    """
    check_said(said, (*MODEL, *TRAINING))
    with in_python(), torch.random.fork_rng([]):
        config = deepcopy(_composition(replace(parse([]), overrides=(*_ALWAYS, *said))).config)
        node = config["latent"]
        node |= {key: value for key, value in changes.items() if key in node}
        words = build_components(validate(Config, config))
        return {*node}, words.latent.attach(words.network.feature_shape(shape))


def _place(folder: object) -> Path:
    """A folder that can be made; UserError for what is none."""
    if not isinstance(folder, str | os.PathLike):
        raise UserError(f"folder={folder!r}: no folder\n  give its path")
    return Path(folder).expanduser()


def _batch(images: int, validation: Any) -> int:
    number = validation if isinstance(validation, int | float) else 0
    held_out = number if number >= 1 else round(number * images)
    return max(1, min(_BATCH, images - int(held_out)))


@dataclass(frozen=True)
class _Run:
    """A training about to begin: its configuration, its words, its model and what was said."""

    config: dict[str, Any]
    parts: Experiment
    model: Autoencoder
    choices: dict[str, Any]
    overrides: list[str]


# of our own options alone, which stay as they are: the folds of a search give the same again
_cached = lru_cache(maxsize=32)(compose)


def _composition(arguments: Arguments) -> Composition:
    return compose(arguments) if own_folders() else _cached(arguments)


def _prepared(arguments: Arguments, split: Split, joined: Autoencoder | None) -> _Run:
    """Everything checked, nothing written; UserError for what cannot be trained."""
    job = _composition(arguments)
    common = {*known_keys(ImageData), "epochs"}
    data = {key: value for key, value in job.config["dataset"].items() if key in common}
    config = {
        **deepcopy(job.config),
        "dataset": {"_target_": "aecore.data.sources.given.Given", **data},
    }
    parts, choices = build_experiment(config), {**job.words, "dataset": "given"}
    parts.data.source = Given.of(split)
    if joined is not None:
        joined.cpu().train()
        config |= {**joined.nodes, "conditional": joined.classes is not None}
        parts = replace(parts, config=validate(Config, config))
        choices |= {"model": "joined in Python", **named(joined.nodes)}
    return _Run(config, parts, prepare(parts, joined), choices, job.overrides)


def _trained(run: _Run, keep: Path | None, place: torch.device, progress: bool) -> Trained:
    """Train, measure, and keep the run if it is to be kept."""
    parts, model, data = run.parts, run.model, run.parts.data
    if keep is not None:
        _check_free(keep, run.config)
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"folder={keep}: {error.strerror}\n  give another") from error
        write_run(keep, run.choices, run.overrides)
        write_config(keep, run.config)
    with TemporaryDirectory() if keep is None else nullcontext(keep) as at:
        folder = Path(at)
        train(parts, model, folder, callbacks=[Progress(brief=False)] if progress else [])
        metrics = _metrics(run, folder)
        if keep is not None:
            write_metrics(keep, metrics)
    some = data.train if data.val is None else data.val
    some = some.subset(torch.arange(min(_SHOWN, len(some))))
    fitted = FitResult(metrics, some.pixels(), None if model.classes is None else some.labels)
    return Trained(model.to(place).eval(), None if keep is None else open_run(keep), fitted)


def _metrics(run: _Run, folder: Path) -> dict[str, float]:
    """The losses of the last epoch; of the validation images, if there are some, all yardsticks."""
    rows, data = read_history(folder), run.parts.data
    told = {key: value for key, value in (rows or [{}])[-1].items() if key.startswith("train/")}
    if data.val is not None:
        trial = make_trial(run.parts, run.model, images=data.val, name="val", ood={})
        told |= evaluate(trial, metrics=run.parts.metrics, noise=run.parts.test_noise)
        warn_if_collapsed(trial)
    return told | timing(rows)


def _check_free(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise UserError where a run lies already, and for words that it could not say again."""
    if is_run(folder):
        raise UserError(f"folder={folder}: holds a run already\n  give another")
    try:
        check_targets(config, folder)
    except UserError as error:
        raise UserError(
            f"{str(error).splitlines()[0]}\n"
            "  such a run cannot be opened again: put its YAML below config_dir=..., or folder=None"
        ) from error
