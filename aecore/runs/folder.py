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
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from aecore.config.folders import command
from aecore.errors import UserError
from aecore.runs.files import checked, make_folder, write_atomically
from aecore.runs.format import check_format, stamp
from aecore.runs.validation import check_plain, check_targets, printable, read_plain

CONFIG, RUN, METRICS, HISTORY = "config.yaml", "run.json", "metrics.json", "history.csv"
ERROR = "error.txt"  # why a job of a multirun failed
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
    if not folder.exists():
        raise UserError(f"{folder}: no such run folder", f"`{command()} task=list` shows the runs")
    if not is_run(folder):
        raise UserError(
            f"{folder}: no run of this project ({CONFIG} is missing)",
            f"`{command()} task=list` shows the runs",
        )
    read_run(folder)
    try:
        config = read_plain(folder / CONFIG)
        if not isinstance(config, dict):
            raise yaml.YAMLError("no mapping")
    except Exception as error:  # YAML raises many kinds on what is damaged
        reason = printable(" ".join(str(error).split()))
        raise UserError(f"{folder / CONFIG}: damaged configuration ({reason})") from error
    check_plain(config, folder / CONFIG)
    check_targets(config, folder / CONFIG)
    return config


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
    write_atomically(folder / RUN, (json.dumps(record, indent=2) + "\n").encode())


def note_redacted(folder: Path, keys: Iterable[str]) -> None:
    """Note in the record the keys whose values config.yaml does not hold, of which it has null.

    Those noted before stay noted. Raises UserError where the record is damaged.
    """
    if new := {*keys} - {*redacted(record := read_run(folder))}:
        record["redacted"] = sorted({*redacted(record), *new})
        write_atomically(folder / RUN, (json.dumps(record, indent=2) + "\n").encode())


def redacted(record: Mapping[str, Any]) -> list[str]:
    """The keys noted in a record of `write_run`."""
    found = record.get("redacted", [])
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


def read_run(folder: Path) -> dict[str, Any]:
    """The record of `write_run`; UserError where it is damaged or of another format."""
    record = _read_json(folder / RUN)
    check_format(record, folder)
    if not isinstance(record.get("choices"), dict):
        raise UserError(f"{folder / RUN}: damaged (it names no choices)")
    return record


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("no mapping")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: missing or damaged ({printable(error)})") from error
    return content


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Write metrics.json: flat, numbers only, null for what is not finite."""
    plain = {k: (v if math.isfinite(v) else None) for k, v in metrics.items()}
    write_atomically(
        folder / METRICS, (json.dumps(plain, indent=2, allow_nan=False) + "\n").encode()
    )


def numbered(metric: str) -> bool:
    """Whether a metric is one of a series, as `test/kl_dim/7`, that would fill any table.

    What latent dimension 7 means differs from model to model, so there is nothing to compare.
    """
    return metric.rpartition("/")[2].isdecimal()


def read_metrics(folder: Path) -> dict[str, float] | None:
    """The metrics of a finished run, None where it is not finished."""
    path = folder / METRICS
    if not path.is_file():
        return None
    return _read_json(path)


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of history.csv, empty where there is none."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def optimized(folder: Path) -> float | None:
    """What a search optimizes (`optimized_metric`): a test metric or one of the last epoch.

    None where the run is not finished or has no such metric.
    """
    metrics = read_metrics(folder)
    wanted = read_config(folder).get("optimized_metric") if metrics is not None else None
    if metrics is None or not isinstance(wanted, str):
        return None
    return {**(read_history(folder) or [{}])[-1], **metrics}.get(wanted)


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
