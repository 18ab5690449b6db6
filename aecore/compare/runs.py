"""A run folder as a record that can be compared: read, never executed, damaged or not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from aecore.compare.values import as_choices, as_values, flat, frozen
from aecore.config.overrides import Override, read
from aecore.errors import UserError
from aecore.runs.folder import (
    CONFIG,
    ERROR,
    HISTORY,
    METRICS,
    RUN,
    plain_config,
    read_history,
    read_metrics,
    read_run,
    recorded,
)
from aecore.runs.format import check_format, difference, is_current
from aecore.runs.validation import read_plain

T = TypeVar("T")
State = Literal["finished", "failed", "unfinished"]
_ERROR_LENGTH = 600
_EPOCHS = "trainer.max_epochs"
# test images do not depend on these keys of the data set
_TRAINING_ONLY = {
    f"dataset.{key}"
    for key in ("batch_size", "eval_batch_size", "epochs", "range", "val_size", "train_size")
}


@dataclass(frozen=True)
class ComparedRun:
    """The records in the folder of a run.

    name: the folder below the parent that all runs share.
    values: the options chosen and every key of the configuration, flat (`latent.dim`).
    overrides: those of the command line, by key.
    grid: the overrides of a job of a sweep; None where no sweep is known.
    metrics: None unless finished; None for a value that was not finite.
    error: why it failed or what is missing; None if it finished.
    epochs: trained so far, by its history.
    complete: whether its whole configuration is known, not only its overrides.
    """

    folder: Path
    name: str
    values: Mapping[str, Any]
    metrics: Mapping[str, float | None] | None
    state: State
    error: str | None = None
    epochs: int | None = None
    complete: bool = True
    overrides: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, Any] | None = None
    revision: str | None = None

    @property
    def seed(self) -> Any:
        """Its seed, None where unknown."""
        return self.values.get("seed")

    @cached_property
    def test_data(self) -> str:
        """The data set that it was tested on: equal if the test images are.

        A key that is null counts as none.
        """
        values = {
            key: value
            for key, value in self.values.items()
            if key.startswith("dataset.") and key not in _TRAINING_ONLY and value is not None
        }
        return frozen([self.values.get("dataset"), values])


def gather(
    folders: Sequence[Path], grid: Sequence[Mapping[str, str]] | None = None
) -> list[ComparedRun]:
    """Read run folders, in their order.

    grid: what each job was started with, key -> text, one for each folder. It also tells the
    values of a job whose folder is missing or empty.
    Raises ValueError where grid and folders differ in number.
    """
    grids = [None] * len(folders) if grid is None else grid
    return [_read(*each) for each in zip(folders, _names(folders), grids, strict=True)]


def check_readable(folders: Sequence[Path]) -> None:
    """Raise UserError where every run that is recorded is of another format."""
    tried = {folder: _tried(recorded, folder, RUN, []) for folder in folders}
    records = {folder: record for folder, record in tried.items() if record is not None}
    if not any(map(is_current, records.values())):
        for folder, record in records.items():
            check_format(record, folder)


def _names(folders: Sequence[Path]) -> list[str]:
    """Paths below the deepest folder that holds all of them."""
    whole = [os.path.abspath(folder) for folder in folders]
    shared = os.path.commonpath([os.path.dirname(path) for path in whole]) if whole else ""
    names = [Path(os.path.relpath(path, shared)).as_posix() for path in whole]
    return [name.encode("utf-8", "backslashreplace").decode() for name in names]


def _read(folder: Path, name: str, grid: Mapping[str, str] | None) -> ComparedRun:
    trouble: list[str] = []
    stamped = _tried(recorded, folder, RUN, trouble) or {}
    record: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    if stamped and not is_current(stamped):
        trouble.append(difference(stamped))
    else:
        record = (stamped and _tried(read_run, folder, RUN, trouble)) or {}
        config = _tried(plain_config, folder, CONFIG, trouble) or {}
    metrics = _tried(read_metrics, folder, METRICS, trouble)
    overrides = as_values(_readable(record.get("overrides") or _asked_of_hydra(folder)))
    chosen = None
    if grid is not None:
        chosen = as_values(_readable(f"{key}={text}" for key, text in grid.items()))
    choices = as_choices(record.get("choices", {}))
    values = {**overrides, **(chosen or {}), **flat(config), **choices}
    epochs = len(_tried(read_history, folder, HISTORY, []) or []) or None
    state, error = _state(folder, metrics, trouble, epochs, values.get(_EPOCHS))
    return ComparedRun(
        folder=folder,
        name=name,
        values=values,
        metrics=metrics if state == "finished" else None,
        state=state,
        error=error,
        epochs=epochs,
        complete=bool(config),
        overrides=overrides,
        grid=chosen,
        revision=record.get("revision"),
    )


def _readable(texts: Iterable[Any]) -> Iterator[Override]:
    """Overrides of a run, those that can be read and are not Hydra's own."""
    for text in texts:
        with suppress(UserError):
            yield from (o for o in read([text] if isinstance(text, str) else []) if not o.of_hydra)


def _state(
    folder: Path,
    metrics: Mapping[str, float | None] | None,
    trouble: Sequence[str],
    epochs: int | None,
    planned: Any,
) -> tuple[State, str | None]:
    if metrics is not None and (folder / CONFIG).is_file() and not trouble:
        return "finished", None
    failure = failure_of(folder)
    if failure is not None:
        return "failed", failure
    if trouble:
        return "unfinished", "; ".join(trouble)
    if not (folder / CONFIG).is_file():
        return "unfinished", "not started" if metrics is None else f"{CONFIG} is missing"
    total = f" of {planned}" if isinstance(planned, int) else ""
    return "unfinished", f"running or interrupted, {epochs or 0}{total} epochs done"


def failure_of(folder: Path) -> str | None:
    """The first line of a failed job's error, without control characters; None where none is."""
    path = folder / ERROR
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        line = file.readline(_ERROR_LENGTH)
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    return "".join(filter(str.isprintable, line)).strip() or "failed"


def _tried(read: Callable[[Path], T], folder: Path, name: str, trouble: list[str]) -> T | None:
    """What a reader finds in a folder; None where the file is missing or, noted, damaged."""
    if not (folder / name).is_file():
        return None
    try:
        return read(folder)
    except UserError:
        trouble.append(f"{name} is damaged")
        return None


def _asked_of_hydra(folder: Path) -> list[Any]:
    """The overrides that Hydra noted before the job began."""
    try:
        overrides = read_plain(folder / ".hydra" / "overrides.yaml")
    except UserError:
        return []
    return overrides if isinstance(overrides, list) else []
