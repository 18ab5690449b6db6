"""Where a trained model lies: a run folder, a checkpoint, or the newest run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecore.config.build import build
from aecore.config.folders import command
from aecore.config.schema import Config
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.samplers.base import Fitted, Sampler
from aecore.runs import folder as results
from aecore.runs.checkpoint import BEST, EXPORTED, LAST, SAMPLER, load
from aecore.runs.record import Record, read_record
from aecore.runs.sampler_file import FILE, read, restored
from aecore.types import ImageShape

NEWEST = "last"


@dataclass(frozen=True)
class Found:
    """A trained model's files, read and checked, nothing built yet.

    path: the checkpoint, or what `task=export` made of one. folder: its run's, None for one that
    lies elsewhere.
    settings: the run's configuration.
    """

    path: Path
    folder: Path | None
    checkpoint: Mapping[str, Any]
    record: Record
    settings: Config

    @property
    def image_shape(self) -> ImageShape:
        """(C, H, W); of a version before 0.2.0, which did not keep it, that of the run's data."""
        if self.record.image_shape is None:
            from aecore.training.setup import build_data  # Lightning comes in here

            return build_data(self.settings).test.image_shape
        return self.record.image_shape

    def sampler(self, model: Autoencoder) -> Fitted | None:
        """The sampler that was fitted to the model's codes, None where there is none."""
        kept = self.checkpoint.get(SAMPLER)  # of an exported model
        if not self.settings.sampler or (self.folder is None and kept is None):
            return None
        word = build(self.settings.sampler, "sampler", Sampler)
        if kept is not None:
            return restored(word, kept, self.path, model)
        assert self.folder is not None
        return read(word, self.folder / FILE, model)

    def metrics(self) -> dict[str, float]:
        """The run's test metrics, empty where it is not finished."""
        found = (self.folder and results.read_metrics(self.folder)) or {}
        return {name: float(value) for name, value in found.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def find(path: str | Path, *, below: Path = Path("outputs")) -> Found:
    """Read a run folder, a checkpoint, an export, or the newest run below a folder (`"last"`).

    Raises UserError where that is no run, or one that is damaged or of another version.
    """
    place = newest(below) if str(path) == NEWEST else Path(path).expanduser()
    folder, file = _files(place)
    checkpoint = load(file)
    record = read_record(checkpoint, file)
    if folder is not None:
        config, version = results.read_config(folder), results.read_version(folder)
        shape, names = (record.image_shape, record.class_names) if record else (None, None)
        record = Record(version, config, shape, names)
    elif record is None:
        raise UserError(
            f"{file}: made by a version before 0.2.0, which kept no configuration in it\n"
            "  give the run's folder"
        )
    return Found(file, folder, checkpoint, record, record.settings(folder or file))


def newest(below: Path) -> Path:
    """The run folder below that began last and has trained; UserError where there is none."""
    runs = [path.parent for path in below.rglob(results.RUN)]
    trained = [run for run in runs if (run / "checkpoints" / LAST).is_file()]
    if not trained:
        raise UserError(
            f"run={NEWEST}: no trained run below {below}\n"
            "  give its folder, run=outputs/..., or where runs lie, paths.output_dir=..."
        )
    return max(trained, key=lambda run: (os.stat(run / results.RUN).st_mtime, str(run)))


def _files(place: Path) -> tuple[Path | None, Path]:
    """The run folder, where there is one, and the checkpoint."""
    if place.suffix in (".onnx", ".pt2"):
        raise UserError(
            f"{place}: made for other programs\n"
            f"  {EXPORTED} beside it, or its folder, can be opened here"
        )
    if place.is_file():
        parent = place.absolute().parent
        inside = parent.name == "checkpoints" and results.is_run(parent.parent)
        return (parent.parent if inside else None), place
    if (place / EXPORTED).is_file() and not results.is_run(place):
        return None, place / EXPORTED
    if place.is_dir() and not results.is_run(place) and any(place.rglob(results.CONFIG)):
        raise UserError(
            f"{place}: no run, but there are runs below it\n"
            f"  give one of them; `{command()} task=list` shows the runs"
        )
    config = results.read_config(place)
    checkpoints = place / "checkpoints"
    evaluate = config.get("evaluate")
    wanted = evaluate.get("weights") if isinstance(evaluate, dict) else None
    best = wanted == "best" and (checkpoints / BEST).exists()
    return place, checkpoints / (BEST if best else LAST)
