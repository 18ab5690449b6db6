"""A small run and a small sweep that nobody disturbed, and what else may come of their commands."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from helpers import event_files
from helpers.commands import Done, started

TINY = [
    "model=vae", "dataset=digits", "dataset.batch_size=32", "dataset.train_size=400",
    "network.hidden=[16]", "trainer.threads=1", "trainer.checkpoint_minutes=0",
    "trainer.log_every=5", "trainer/accelerator=cpu",
]  # fmt: skip
ONE = [*TINY, "figures=[strip]", "trainer.max_epochs=4", "hydra.run.dir=it"]
MANY = [
    *TINY, "-m", "figures=none", "trainer.max_epochs=2", "latent.dim=2,3,4", "hydra.sweep.dir=it",
]  # fmt: skip
STATUSES = {0, 1, 2, 3, 129, 130, 141, 143}
SECONDS = 1800  # after which a command counts as hanging, even on a busy machine
TIMED = ("train/seconds", "train/images_per_second", "seconds")  # differ from run to run


def reported(done: Done) -> str | None:
    """What is wrong with the way a command ended."""
    if "Traceback" in done.err + done.out:
        return f"traceback: {done.err.splitlines()[-1:]}"
    if done.status not in STATUSES:
        return f"status {done.status}"
    errors = done.err[done.err.find("error: ") :].splitlines() if done.status == 2 else []
    return f"{len(errors)} lines: {errors[0]}" if len(errors) > 3 else None


def ended(*argv: str) -> tuple[Done, str | None]:
    """A command that nobody disturbs, and what is wrong with its end."""
    with started(*argv) as command:
        command.process.join(SECONDS)
        if command.process.exitcode is None:
            return Done(-9, "", ""), f"hangs: {' '.join(argv)}"
        done = command.wait()
    return done, reported(done)


def results(folder: Path) -> dict[str, object]:
    """Metrics and history of every run below, without what is timed."""
    found: dict[str, object] = {}
    for file in sorted(folder.rglob("metrics.json")):
        name = file.parent.relative_to(folder).as_posix()
        metrics = json.loads(file.read_text())
        found[name] = {key: value for key, value in metrics.items() if key not in TIMED}
        with (file.parent / "history.csv").open() as rows:
            found[f"{name} history"] = [
                {k: v for k, v in row.items() if k not in TIMED} for row in csv.DictReader(rows)
            ]
    return found


def shown_twice(folder: Path) -> str | None:
    """A point that TensorBoard shows twice, in any run below."""
    for events in sorted({file.parent for file in folder.rglob("events.out.tfevents.*")}):
        root = next(place for place in (events, *events.parents) if place.name == "tensorboard")
        read = event_files.read(root.parent, str(events.relative_to(root)))
        for tag in read.Tags()["scalars"]:
            steps = [event.step for event in read.Scalars(tag)]
            if len(steps) > len({*steps}):
                return f"loss: {events} shows a point of {tag} twice"
    return None


@cache
def prepared(kind: str) -> Path:
    """A folder with `whole` and, made by the same command, `half`, which a signal has ended."""
    home, here = Path(mkdtemp()), os.getcwd()
    os.chdir(home)
    argv = ONE if kind == "run" else MANY
    for name in ("whole", "half"):
        done, half = "it/history.csv" if kind == "run" else "it/1/history.csv", name == "half"
        with started(*argv) as command:
            while half and not Path(done).exists():
                time.sleep(0.005)
            if half:
                command.signal(signal.SIGKILL)
            command.wait()
        os.rename("it", name)
    os.chdir(here)
    return home


def lost(kind: str) -> str | None:
    """Whether `it` has other results than the run or sweep that nobody disturbed."""
    if results(Path("it")) != results(prepared(kind) / "whole"):
        return "loss: other results"
    return shown_twice(Path("it"))


def resumed(kind: str) -> str | None:
    """Go on with `it`, or start it where nothing is left, and say what was lost."""
    done, wrong = ended("resume=it") if Path("it").exists() else ended(*argv_of(kind))
    if wrong is None and done.status != 0:
        wrong = f"loss: status {done.status} {done.err[:200]}"
    return wrong or lost(kind)


def argv_of(kind: str) -> list[str]:
    """The command that makes a run or a sweep."""
    return ONE if kind == "run" else MANY


def is_recorded(kind: str) -> bool:
    """Whether there is something to go on with."""
    return Path("it", "config.yaml" if kind == "run" else "sweep.json").exists()
