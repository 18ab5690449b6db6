"""The experiments that are repeated, and what their documents print."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from aecore.runs.folder import METRICS, read_history, read_metrics
from aecore.runs.open import open_run
from aecore.runs.sweep import read_sweep

_PRINTED = Path(__file__).with_name("printed.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Strict):
    """One number of an experiment; see printed.yaml for what the fields mean."""

    name: str
    key: str
    per: Literal["image", "pixel"] = "image"
    job: str | None = None
    printed: float | None = None
    plain: float | None = None
    ceiling: bool = True

    @property
    def target(self) -> float | None:
        """What ours is held against: the larger of what is printed and what a plain loop gives."""
        known = [value for value in (self.printed, self.plain) if value is not None]
        return max(known) if known else None

    def value(self, folder: Path) -> float | None:
        """This number in a finished run or sweep; None where it is not there."""
        run = folder if self.job is None else job_folder(folder, self.job)
        found = None if run is None else numbers(run).get(self.key)
        if found is None or run is None or self.per == "image":
            return found
        return found / pixels(run)


class Row(_Strict):
    """One experiment: a command, its numbers and the picture that stands for it."""

    name: str
    title: str
    command: str
    picture: str
    assumed: str | None = None
    figures: list[Figure]

    @property
    def run(self) -> str:
        """The word of the command: rows of the same command share one run."""
        return self.command.partition("=")[2]

    @property
    def is_sweep(self) -> bool:
        """Whether the command is a study of several jobs."""
        return self.command.startswith("sweeps=")


class Document(_Strict):
    """A public document and its experiments."""

    document: str
    rows: list[Row]


def documents() -> list[Document]:
    """All of printed.yaml."""
    loaded = yaml.safe_load(_PRINTED.read_text(encoding="utf-8"))
    return TypeAdapter(list[Document]).validate_python(loaded)


def is_finished(folder: Path, sweep: bool) -> bool:
    """Whether the run, or each job of the sweep, in a folder has its metrics."""
    if not sweep:
        return (folder / METRICS).is_file()
    record = read_sweep(folder)
    return record is not None and all((f / METRICS).is_file() for f in record.folders)


def job_folder(folder: Path, job: str) -> Path | None:
    """The run folder of the job that was started with a value, or with `key=value`."""
    record = read_sweep(folder)
    if record is None:
        return None
    for run, overrides in zip(record.folders, record.jobs, strict=True):
        if job in overrides or job in [override.partition("=")[2] for override in overrides]:
            return run
    return None


def numbers(run: Path) -> dict[str, float | None]:
    """The metrics of a run and the last epoch of its history; `seconds` is the median epoch's."""
    found: dict[str, float | None] = {}
    history = read_history(run)
    if history:
        found |= {**history[-1], "seconds": median(row["seconds"] for row in history)}
    return found | (read_metrics(run) or {})


def pixels(run: Path) -> int:
    """How many values an image of the run's data set has."""
    return torch.Size(open_run(run).image_shape).numel()
