"""The run folder: what a run leaves, written and read in one place.

config.yaml         the resolved configuration, all that is needed to build the model again
run.json            format and version, the options chosen, the overrides, packages and revision
metrics.json        flat and strict JSON; there when the run is finished
history.csv         one row an epoch
checkpoints/        last.ckpt, previous.ckpt, best.ckpt; sampler.ckpt where one was fitted
tensorboard/        events
figures/            PNG and GIF files
"""

from __future__ import annotations

import csv
import io
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from aecore.config.build import validate
from aecore.config.folders import command, resuming
from aecore.config.schema import Config
from aecore.errors import UserError
from aecore.runs.files import checked, make_folder, write_atomically, write_json
from aecore.runs.format import read_mapping, read_stamped, stamp
from aecore.runs.validation import (
    check_plain,
    check_targets,
    inside,
    printable,
    read_json,
    read_plain,
)

CONFIG, RUN, METRICS, HISTORY = "config.yaml", "run.json", "metrics.json", "history.csv"
ERROR = "error.txt"  # why a job of a multirun failed
_METRICS: TypeAdapter[Any] = TypeAdapter(
    Annotated[dict[str, FiniteFloat | None], Field(min_length=1)]
)
_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "omegaconf", "numpy")


def reserve(folder: Path) -> Path:
    """Make that folder, or the same with -1, -2, ... where it exists already; returns the new one.

    Safe against runs that start at the same moment: `mkdir` is what decides.
    """
    make_folder(folder.parent)
    candidate, count = folder, 0
    while True:
        try:
            checked(candidate).mkdir()
            return candidate
        except FileExistsError:
            if not candidate.is_dir():
                raise
            count += 1
            candidate = folder.with_name(f"{folder.name}-{count}")


def is_run(folder: Path) -> bool:
    """Whether a run was recorded there."""
    return (folder / CONFIG).is_file()


def newest(below: Path, file: str = RUN) -> Path | None:
    """The folder below whose run began last, of those that hold a file; None for none."""
    runs = [path.parent for path in below.rglob(RUN) if (path.parent / file).is_file()]
    return max(runs, key=lambda run: (os.stat(run / RUN).st_mtime, str(run)), default=None)


def progress(folder: Path) -> str | None:
    """How far a run without metrics has come, None for a finished one."""
    if read_metrics(folder) is not None:
        return None
    whole = read_config(folder)["trainer"]["max_epochs"]
    return f"not finished, {len(read_history(folder))} of {whole} epochs done"


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Record the resolved configuration."""
    write_atomically(folder / CONFIG, yaml.safe_dump(dict(config), sort_keys=False).encode())


def read_config(folder: Path) -> dict[str, Any]:
    """The recorded configuration.

    Raises UserError where the folder holds no run, a damaged one or one of another format.
    """
    if not is_run(folder):
        missing = f"no run of this project ({CONFIG} is missing)"
        problem = missing if folder.exists() else "no such run folder"
        raise UserError(f"{folder}: {problem}", f"`{command()} task=list` shows the runs")
    read_run(folder)
    config = plain_config(folder)
    check_targets(config, folder / CONFIG)
    checked_config(config, folder / CONFIG)
    return config


def plain_config(folder: Path) -> dict[str, Any]:
    """What config.yaml holds, plain values of any keys; UserError if it is missing or damaged."""
    config: dict[str, Any] = read_plain(folder / CONFIG)
    check_plain(config, folder / CONFIG)
    return config


def checked_config(config: Mapping[str, Any], where: Path) -> Config:
    """A recorded configuration, validated; UserError names the run or the file."""
    try:
        return validate(Config, config)
    except UserError as error:
        raise inside(error, where) from error


def write_run(folder: Path, choices: Mapping[str, Any], overrides: list[str]) -> None:
    """Record the option chosen of each config group, and what the run was made with.

    The format of the whole folder stands here and not in config.yaml, which holds the keys of a
    configuration and no others.
    """
    record = {
        **stamp(),
        "choices": dict(choices),
        "overrides": overrides,
        "packages": {"python": platform.python_version(), **_packages()},
        "revision": _revision(),
    }
    write_json(folder / RUN, record)


def note_redacted(folder: Path, keys: Iterable[str]) -> None:
    """Note in the record the keys whose values config.yaml does not hold, of which it has null.

    Those noted before stay noted. Raises UserError where the record is damaged.
    """
    record = read_run(folder)
    if not {*keys} <= {*record["redacted"]}:
        record["redacted"] = sorted({*record["redacted"], *keys})
        write_json(folder / RUN, record)


class _Run(BaseModel, strict=True, extra="allow"):
    """What `write_run` records."""

    choices: dict[str, str | list[str] | None]
    overrides: list[str] = []
    packages: dict[str, str] = {}
    revision: str | None = None
    redacted: list[str] = []


def read_run(folder: Path) -> dict[str, Any]:
    """The record of `write_run`; UserError where it is damaged or of another format."""
    return read_stamped(folder / RUN, _Run).model_dump()


def recorded(folder: Path) -> dict[str, Any]:
    """What run.json holds, of any format; UserError where it is missing or damaged."""
    return read_mapping(folder / RUN)


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Write metrics.json: flat, numbers only, null for what is not finite."""
    plain = {k: (v if math.isfinite(v) else None) for k, v in metrics.items()}
    write_json(folder / METRICS, plain)


def numbered(metric: str) -> bool:
    """Whether a metric is one of a series, as `test/kl_dim/7`, that would fill any table.

    What latent dimension 7 means differs from model to model, so there is nothing to compare.
    """
    return metric.rpartition("/")[2].isdecimal()


def read_metrics(folder: Path) -> dict[str, float] | None:
    """The metrics of a finished run, None where it is not finished; UserError if damaged.

    A metric that was not finite is None, which only few readers need to know.
    """
    path = folder / METRICS
    if not path.is_file():
        return None
    metrics: dict[str, float] = read_json(path, _METRICS)
    return metrics


def is_finished(folder: Path) -> bool:
    """Whether a run has finished, and its metrics and its history can be read."""
    try:
        return read_metrics(folder) is not None and read_history(folder) is not None
    except UserError:
        return False


def write_history(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv, with the columns of all rows in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / HISTORY, text.getvalue().encode())


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of history.csv, empty where there is none; UserError if damaged."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    try:
        text = path.read_text()
        columns, *rows = csv.reader(io.StringIO(text), strict=True)
        if not text.endswith("\n") or any(len(row) != len(columns) for row in rows):
            raise ValueError("a row is cut short")
        return [
            {name: float(cell) for name, cell in zip(columns, row, strict=True) if cell}
            for row in rows
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path}: damaged ({printable(error)})", f"{resuming(folder)} restores it"
        ) from error


def optimized(folder: Path) -> float | None:
    """What a search optimizes (`optimized_metric`): a test metric or one of the last epoch.

    None where the run is not finished, cannot be read, or has no such metric.
    """
    try:
        metrics = read_metrics(folder)
        if metrics is None:
            return None
        wanted = read_config(folder)["optimized_metric"]
        return {**(read_history(folder) or [{}])[-1], **metrics}.get(wanted)
    except UserError:
        return None


@cache  # of what was imported, whatever is on the disk by now
def _packages() -> dict[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}


@cache
def _revision() -> str | None:
    """The git revision of the code, with '+' where it was changed; None outside a clone."""
    root = Path(__file__).parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if (root / ".git").exists() else None
