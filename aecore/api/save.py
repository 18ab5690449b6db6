"""Saving a trained model as the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aecore.config.schema import Config
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs import sampler_file
from aecore.runs.checkpoint import LAST
from aecore.runs.files import make_folder
from aecore.runs.folder import is_run, write_config, write_metrics, write_run
from aecore.runs.lock import writing
from aecore.runs.record import make_record
from aecore.runs.validation import check_targets
from aecore.training.callbacks.checkpoint import save_weights


def begin_run(
    folder: Path, config: Mapping[str, Any], choices: Mapping[str, Any], overrides: list[str]
) -> None:
    """Begin a run folder; UserError where it cannot be made or could not be opened again."""
    if is_run(folder):
        raise UserError(f"folder={folder}: holds a run already", "give another")
    try:
        check_targets(config, folder)  # classes that cannot be imported again
    except UserError as error:
        raise error.with_hint(
            "such a run cannot be opened again: put its YAML below config_dir=..., or folder=None"
        ) from error
    try:
        make_folder(folder)
    except OSError as error:
        raise UserError(f"folder={folder}: {error.strerror}", "give another") from error
    write_run(folder, choices, overrides)
    write_config(folder, config)


def save_model(
    model: Autoencoder,
    folder: Path,
    config: Config,
    choices: Mapping[str, Any],
    metrics: Mapping[str, float],
    class_names: tuple[str, ...] | None,
) -> None:
    """Write a finished run of the weights that a model has, in a folder that holds none yet."""
    begin_run(folder, config.model_dump(exclude_unset=True), choices, [])
    with writing(folder, "saving a model"):
        record = make_record(config, model.image_shape, class_names)
        save_weights(model, folder / "checkpoints" / LAST, record)
        if model.sampler is not None:
            sampler_file.save_sampler(model.sampler, folder / sampler_file.FILE)
        write_metrics(folder, metrics)
