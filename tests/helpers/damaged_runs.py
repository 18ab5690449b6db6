"""Runs whose files are damaged, and everything that reads them, in this process."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aecore.cli import main
from aecore.compare.compare import compare
from aecore.compare.runs import gather
from aecore.errors import UserError
from aecore.runs.folder import is_finished, optimized, progress
from aecore.runs.open import open_run
from aecore.runs.sweep import ended
from aecore.tasks.base import Request
from aecore.tasks.list import List
from aecore.tasks.resume import recorded_run
from aecore.training.setup import build_experiment
from helpers.damage import documents

TINY = [
    "model=vae", "dataset=digits", "network.hidden=[4]", "latent.dim=2", "trainer.max_epochs=2",
    "trainer.limit_batches=2", "trainer.threads=1", "figures=[curves]", "sampler=gaussian",
    "logger=csv",
]  # fmt: skip
# what is damaged in a run, and how it is changed
FILES = {
    "config.yaml": "yaml",
    "run.json": "json",
    "metrics.json": "json",
    "history.csv": "csv",
    "steps.csv": "csv",
    "error.txt": "bytes",
    ".hydra/overrides.yaml": "yaml",
    "figures/curves.png": "bytes",
    "checkpoints/last.ckpt": "bytes",
    "checkpoints/previous.ckpt": "bytes",
    "checkpoints/best.ckpt": "bytes",
    "checkpoints/sampler.ckpt": "bytes",
}


def make_run(folder: Path) -> Path:
    """A finished run."""
    assert main([*TINY, f"hydra.run.dir={folder}"]) == 0
    return folder


def make_sweep(folder: Path) -> Path:
    """A finished sweep of two jobs."""
    assert main(["-m", *TINY, "figures=none", "seed=0,1", f"hydra.sweep.dir={folder}"]) == 0
    return folder


def unfinish(run: Path) -> None:
    """Take a run back to the end of its first epoch."""
    (run / "metrics.json").unlink(missing_ok=True)
    (run / "checkpoints/previous.ckpt").replace(run / "checkpoints/last.ckpt")


def damages(run: Path, name: str, rng: random.Random, tries: int) -> Iterator[tuple[str, bytes]]:
    """What may stand in a file of a run instead of what does, each with its name."""
    path = run / name
    whole = path.read_bytes() if path.is_file() else b""
    return documents(whole, FILES[name], rng, tries)


def put(path: Path, content: bytes) -> None:
    """Write a file anew: the old one may be a link to another."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _opened(run: Path) -> None:
    opened = open_run(run)
    assert all(isinstance(value, float) for value in opened.metrics.values())
    assert all(isinstance(v, float) for row in opened.history for v in row.values())
    opened.model()


def _resumable(run: Path) -> None:
    request = recorded_run(run, [])
    try:
        build_experiment(request.config)
    except UserError as error:  # it names the option
        raise UserError(f"{run}: {error.summary}", error.hint) from error


def _compared(run: Path) -> None:
    """One damaged run does not keep the others out of the table."""
    runs = [run, run.with_name("whole")]
    compare(runs, run.with_name("out"), title="title")
    first, other = gather(runs)
    assert other.state == "finished" and other.metrics
    assert first.state == "finished" or (first.error and len(first.error.splitlines()) == 1)


def _listed(run: Path) -> None:
    config = {"paths": {"output_dir": str(run.parent)}}
    List(where={})(Request(config, {}, [], lambda: run))


def _states(run: Path) -> None:
    """Never an error: a sweep goes on whatever one of its jobs left."""
    value = optimized(run)
    assert value is None or isinstance(value, float)
    assert ended(run) == (is_finished(run) or (run / "error.txt").is_file())


READERS: Mapping[str, Callable[[Path], Any]] = {
    "open": _opened,
    "resume": _resumable,
    "compare": _compared,
    "list": _listed,
    "states": _states,
    "progress": progress,
}
ALWAYS = ("compare", "list", "states")  # raise nothing at all


def outcome(read: Callable[[Path], Any], run: Path) -> str:
    """`refused` in at most three printable lines that name the run, or `read`."""
    try:
        read(run)
    except UserError as error:
        text = str(error)
        assert len(text.splitlines()) <= 3 and run.name in text, text
        return "refused"
    return "read"


def commands(run: Path) -> dict[str, list[str]]:
    """What a user may do with a run, each with its arguments."""
    out = run.with_name("out")
    return {
        "resume": [f"resume={run}"],
        "longer": [f"resume={run}", "trainer.max_epochs=3"],
        "evaluate": [f"run={run}", "task=evaluate", f"out={out}"],
        "sample": [f"run={run}", "task=sample", f"out={out}"],
        "init": ["init_from=" + str(run), *TINY, "trainer.max_epochs=1", f"hydra.run.dir={out}"],
        "compare": ["task=compare", f"runs={run.parent}/w*", f"out={out}"],
        "list": ["task=list", f"paths.output_dir={run.parent}"],
    }


def status_of(argv: list[str], run: Path, told: Callable[[], str]) -> int:
    """The exit status of a command: it is done, or refused in three lines; errors are raised.

    told: reads what was written to stderr.
    """
    shutil.rmtree(run.with_name("out"), ignore_errors=True)
    told()
    status = main(argv)
    errors = [line for line in told().splitlines() if not line.startswith("warning: ")]
    assert status in (0, 2, 3) and (status == 0 or 1 <= len(errors) <= 3), (status, errors)
    assert status != 0 or not errors, errors
    return status
