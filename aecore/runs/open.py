"""A trained run, opened: a run folder, a checkpoint, an export, or the newest run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aecore.config.build import build, validate
from aecore.config.folders import command, expanded
from aecore.config.schema import Config
from aecore.errors import UserError, short
from aecore.model.autoencoder import Autoencoder
from aecore.model.samplers.base import Fitted, Sampler
from aecore.runs import sampler_file
from aecore.runs.checkpoint import EXPORTED, LAST, SAMPLER, evaluated, load
from aecore.runs.folder import (
    CONFIG,
    checked_config,
    is_run,
    newest,
    read_config,
    read_history,
    read_metrics,
    read_run,
)
from aecore.runs.record import read_record
from aecore.runs.restore import restore
from aecore.types import ImageShape

NEWEST = "last"


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run whose files were read and checked; no model is built before `model`.

    folder: the run folder, None for a checkpoint or an export that lies elsewhere.
    path: the checkpoint or export that `model` restores.
    choices: the option chosen of each config group, empty without a run folder.
    image_shape: (C, H, W). class_names: of the labels 0, 1, ...; None where they have no names.
    """

    folder: Path | None
    path: Path
    config: Config
    choices: Mapping[str, Any]
    image_shape: ImageShape
    class_names: tuple[str, ...] | None
    _content: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> Path:
        """What names the run in messages: its folder, or its file."""
        return self.folder or self.path

    @property
    def metrics(self) -> dict[str, float]:
        """The test metrics, empty where the run is not finished; UserError if damaged."""
        recorded = (self.folder and read_metrics(self.folder)) or {}
        return {name: value for name, value in recorded.items() if value is not None}

    @property
    def history(self) -> list[dict[str, float]]:
        """What each epoch recorded, empty where there is no history."""
        return [] if self.folder is None else read_history(self.folder)

    @property
    def epoch(self) -> int | None:
        """The epoch of the weights, counted from 1; None for an export and a saved model.

        Of a checkpoint made within an epoch it is that one.
        """
        return None if self._content["step"] == 0 else self._content["epoch"] + 1

    def model(self, *, sampler: bool = True) -> Autoencoder:
        """The trained model on the CPU, in evaluation mode, with its sampler where one was fitted.

        sampler: False leaves the sampler out.
        Raises UserError where the files are damaged or another model's.
        """
        model = restore(self.config, self._content, self.image_shape, self.path)
        if sampler:
            model.sampler = self.sampler(model)
        return model

    def sampler(self, model: Autoencoder) -> Fitted | None:
        """The sampler that was fitted to the codes of the model, None where there is none."""
        exported = self._content.get(SAMPLER)
        if not self.config.sampler or (self.folder is None and exported is None):
            return None
        sampler = build(self.config.sampler, "sampler", Sampler)
        if exported is not None:
            return sampler_file.restored(sampler, exported, self.path, model)
        assert self.folder is not None
        return sampler_file.read_sampler(sampler, self.folder / sampler_file.FILE, model)


def open_run(path: str | Path, *, below: Path = Path("outputs")) -> Run:
    """Open a run folder, a checkpoint, an export, or the newest run below a folder (`"last"`).

    Nothing in the files is executed, and none is changed.
    Raises UserError where that is no run, or one that is damaged or of another format.
    """
    place = _newest(below) if str(path) == NEWEST else expanded(path)
    try:
        folder, file = _located(place)
    except (OSError, ValueError) as error:  # a name too long, or with a null byte
        raise UserError(f"{short(str(path))}: {error.args[-1]}") from error
    choices: Mapping[str, Any] = {}
    config = None
    if folder is not None:
        config = validate(Config, read_config(folder))
        choices = read_run(folder)["choices"]
        file = file or evaluated(folder, config)
    assert file is not None
    content = load(file)
    record = read_record(content, file)
    config = config or checked_config(record.config, file)
    channels, height, width = record.image_shape
    names = None if record.class_names is None else tuple(record.class_names)
    return Run(folder, file, config, choices, (channels, height, width), names, content)


def _newest(below: Path) -> Path:
    """The run folder below that began last and has trained; UserError where there is none."""
    folder = newest(below, f"checkpoints/{LAST}")
    if folder is None:
        raise UserError(
            f"run={NEWEST}: no trained run below {below}",
            "give its folder, run=outputs/..., or where runs lie, paths.output_dir=...",
        )
    return folder


def _located(place: Path) -> tuple[Path | None, Path | None]:
    """The run folder and the file that a path names; None for what it does not name."""
    if place.suffix in (".onnx", ".pt2"):
        raise UserError(
            f"{place}: made for other programs",
            f"{EXPORTED} beside it, or its folder, can be opened here",
        )
    if place.is_file():
        parent = place.absolute().parent
        inside = parent.name == "checkpoints" and is_run(parent.parent)
        return (parent.parent if inside else None), place
    if (place / EXPORTED).is_file() and not is_run(place):
        return None, place / EXPORTED
    if place.is_dir() and not is_run(place) and any(place.rglob(CONFIG)):
        raise UserError(
            f"{place}: no run, but there are runs below it",
            f"give one of them; `{command()} task=list` shows the runs",
        )
    return place, None
