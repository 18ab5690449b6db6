"""Recorded sweeps of which no job has run, and what someone might make of their records."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.runs.sweep import Sweep
from aecore.sweeps.plan import plan_grid

TINY = [
    "dataset=digits", "model=ae", "trainer.max_epochs=1", "network.hidden=[4]", "figures=none",
    "logger=none", "trainer.threads=1",
]  # fmt: skip
SEARCH: dict[str, Any] = {
    "n_trials": 1, "n_jobs": 1, "direction": "minimize", "storage": None, "study_name": "search",
    "sampler": "random", "pruner": "none", "warmup": 5, "seed": 0, "metric": "val/loss",
    "owner": "me", "fixed": [*TINY, "optimized_metric=val/loss"],
    "space": {"latent.dim": json.dumps(
        {"name": "IntDistribution", "attributes": {"low": 2, "high": 3, "step": 1, "log": False}}
    )},
}  # fmt: skip
Tamper = Callable[[dict[str, Any]], Any]


def planned(folder: Path, *argv: str) -> Sweep:
    """A sweep that was checked and recorded, as `-m` does before its first job."""
    arguments = parse(["-m", *TINY, *argv, f"hydra.sweep.dir={folder}"])
    return plan_grid(arguments, compose(arguments))[0]


@cache
def _of_two() -> str:
    with TemporaryDirectory() as folder:
        planned(Path(folder), "latent.dim=2,3")
        return (Path(folder) / "sweep.json").read_text()


def of_two_jobs(folder: Path) -> None:
    """The record of two jobs, planned once for all tests."""
    folder.mkdir()
    (folder / "sweep.json").write_text(_of_two())


def tampered(folder: Path, tamper: Tamper) -> Path:
    """The folder, its record changed."""
    path = folder / "sweep.json"
    record = json.loads(path.read_text())
    found = tamper(record)
    path.write_text(json.dumps(record if found is None else found))
    return folder


def recorded(folder: Path) -> dict[str, Any]:
    """The record in a folder."""
    found: dict[str, Any] = json.loads((folder / "sweep.json").read_text())
    return found


def launching(*lines: str) -> Tamper:
    """Adds overrides that decide on the launch."""
    return lambda record: record["overrides"].extend(lines)


def training(*lines: str) -> Tamper:
    """Adds overrides to each job."""
    return lambda record: [job.extend(lines) for job in record["jobs"]] and None


def searching(**changes: Any) -> Tamper:
    """Makes a search of it."""
    return lambda record: record.update(jobs=[], numbers=[], search=SEARCH | changes)


def below(folder: Path) -> set[str]:
    """Every file and folder below."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def resumed(folder: Path, *argv: str) -> int:
    """The exit status of `resume=` with further arguments."""
    return main([*argv, f"resume={folder}"])
