"""The attacks of the campaign, each tried once by a function of a seeded generator.

A try happens in an empty folder and returns None where nothing was lost, else what was.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

import aecore
from aecore.config.compose import compose
from aecore.config.overrides import parse
from aecore.errors import NonFiniteError, UserError
from helpers import event_files
from helpers.command_lines import command_line
from helpers.commands import RUN, Done, started
from helpers.damage import documents
from helpers.python_calls import call

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
SECONDS = 120  # after which a command counts as hanging
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


def twice(folder: Path) -> str | None:
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
    return twice(Path("it"))


def _resumed(kind: str) -> str | None:
    done, wrong = ended("resume=it") if Path("it").exists() else ended(*argv_of(kind))
    if wrong is None and done.status != 0:
        wrong = f"loss: status {done.status} {done.err[:200]}"
    return wrong or lost(kind)


def argv_of(kind: str) -> list[str]:
    """The command that makes a run or a sweep."""
    return ONE if kind == "run" else MANY


def _recorded(kind: str) -> bool:
    return Path("it", "config.yaml" if kind == "run" else "sweep.json").exists()


def killed(draw: Random, kind: str) -> str | None:
    """A run or sweep ended by signals, several times, then resumed."""
    numbers = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    for _ in range(draw.choice([1, 1, 2, 3, 5])):
        argv = ["resume=it"] if _recorded(kind) else argv_of(kind)
        if not _recorded(kind):
            shutil.rmtree("it", ignore_errors=True)
        number = draw.choice(numbers)
        with started(*argv) as command:
            time.sleep(draw.random() * draw.choice([0.3, 3.0]))
            if command.process.is_alive():
                command.signal(number)
            done = command.wait(SECONDS)
        wrong = reported(done) if number != signal.SIGKILL and done.status >= 0 else None
        if wrong:
            return wrong
    if not _recorded(kind):
        shutil.rmtree("it", ignore_errors=True)
    return _resumed(kind)


def no_space(draw: Random, kind: str) -> str | None:
    """Files may have some size and no more, as on a full disk; then they may have any."""
    blocks = draw.choice([1, 4, 16, 30, 60, 120])
    command = f"ulimit -f {blocks}; exec {sys.executable} {RUN} " + " ".join(argv_of(kind))
    made = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=SECONDS)
    wrong = reported(Done(made.returncode, made.stdout, made.stderr))
    if wrong or _recorded(kind):
        return wrong or _resumed(kind)
    return None


def damaged(draw: Random, kind: str) -> str | None:
    """A damaged file in a run or sweep, which is then resumed, used, listed or compared."""
    half = draw.random() < 0.5
    shutil.copytree(prepared(kind) / ("half" if half else "whole"), "it")
    files = sorted(f for f in Path("it").rglob("*") if f.is_file() and ".hydra" not in f.parts)
    file = draw.choice(files)
    suffix = file.suffix.removeprefix(".")
    content = draw.choice([*documents(file.read_bytes(), suffix, draw, 2)])[1]
    file.write_bytes(content)
    run = "it" if kind == "run" else "it/0"
    command = draw.choice([
        ["resume=it"], ["resume=it"], [f"run={run}", "task=evaluate", "out=out", "figures=none"],
        ["task=list", "paths.output_dir=."], ["task=compare", "runs=[it]", "out=out"],
        [f"run={run}", "task=sample", "out=out"],
    ])  # fmt: skip
    done, wrong = ended(*command)
    if wrong:
        return f"{wrong} ({file}, {' '.join(command)}, {content[:60]!r})"
    says_what_to_do = file.name in ("config.yaml", "run.json", "sweep.json")
    if done.status == 0 and command == ["resume=it"] and not says_what_to_do:
        other = lost(kind) if file.suffix != ".png" and "tensorboard" not in file.parts else None
        return other and f"{other} ({file}, {content[:60]!r})"
    return None


def at_once(draw: Random, kind: str) -> str | None:
    """Several `resume=` of one run or sweep at once; one of them may be killed."""
    shutil.copytree(prepared(kind) / "half", "it")
    with ExitStack() as stack:
        several = []
        for _ in range(draw.choice([2, 3, 4])):
            several.append(stack.enter_context(started("resume=it")))
            time.sleep(draw.choice([0, 0, 0.2, 1.0]) * draw.random())
        if draw.random() < 0.3:
            draw.choice(several).signal(signal.SIGKILL)
        ends = [command.wait(SECONDS) for command in several]
    for done in ends:
        wrong = reported(done) if done.status != -signal.SIGKILL else None
        if wrong or done.status not in (0, 2, -signal.SIGKILL):
            return wrong or f"loss: status {done.status}"
    return _resumed(kind)


def lines(draw: Random) -> str | None:
    """A random command line, run as it is."""
    argv = [*TINY, "trainer.max_epochs=1", *command_line(draw)]
    wrong = ended(*argv)[1]
    return wrong and f"{wrong} ({argv[len(TINY) :]})"


def parsed(draw: Random) -> str | None:
    """Random command lines, parsed; one of them is composed."""
    for n in range(50):
        argv = [arg for arg in command_line(draw) if arg != "--version"]
        try:
            arguments = parse(argv)
            if n == 0:
                compose(arguments)
        except UserError:
            continue
        except Exception as error:
            return f"traceback: {argv} {type(error).__name__}: {error}"
    return None


@cache
def _trained() -> list[aecore.Trained]:
    images = np.random.default_rng(0).random((20, 1, 4, 4), dtype=np.float32)
    small = "latent.dim=2 network.hidden=[4]"
    return [
        aecore.fit(f"vae {small}", images, epochs=1),
        aecore.fit(f"cvae {small}", images, np.arange(20) % 3, epochs=1),
    ]


def calls(draw: Random) -> str | None:
    """Random calls of the Python interface."""
    for _ in range(20):
        with TemporaryDirectory() as folder:
            name, function = call(draw, _trained(), Path(folder, "run"))
            try:
                function()
            except (UserError, NonFiniteError):
                pass
            except Exception as error:
                if not name.startswith("transformer"):  # its arrays are checked by scikit-learn
                    return f"traceback: {name[:200]} {type(error).__name__}: {error}"
    return None


Attack = Callable[[Random], str | None]
KINDS = ("run", "sweep")


def attacks() -> Iterator[tuple[str, int, Attack]]:
    """Name, cases in a try, and function of each attack."""
    for name, attack in (
        ("killed by signals", killed), ("files may not grow", no_space),
        ("a damaged file", damaged), ("resumed several times at once", at_once),
    ):  # fmt: skip
        for kind in KINDS:
            yield f"{kind}: {name}", 1, lambda draw, a=attack, k=kind: a(draw, k)
    yield "command lines, run", 1, lines
    yield "command lines, parsed", 50, parsed
    yield "calls in Python", 20, calls
