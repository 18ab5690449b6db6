"""The attacks of the campaign, each tried once by a function of a seeded generator.

A try happens in an empty folder and returns None where nothing was lost, else what was.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

import aecore
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.errors import NonFiniteError, UserError
from helpers.command_lines import command_line
from helpers.commands import RUN, Done, started
from helpers.damage import documents
from helpers.python_calls import call
from undisturbed import (
    SECONDS,
    TINY,
    argv_of,
    ended,
    is_recorded,
    lost,
    prepared,
    reported,
    resumed,
)

RECORDS = (  # overrides in the record of a sweep
    "+hydra.callbacks.x={_target_: os.mkdir, path: evil}", "hydra.output_subdir=../../evil",
    "+hydra.job.env_set.PYTHONPATH=evil", "hydra.run.dir=evil", "hydra.sweep.dir=evil",
    "paths.data_dir=evil", "paths.output_dir=evil", "dataset.cache_dir=evil", "out=evil",
    "task=compare", "task=[compare]", "model=../evil", "init_from=evil", "logger=mlflow",
    "hydra/job_logging=default", "hydra.job_logging.handlers.file.filename=evil",
    "hydra.launcher._target_=os.mkdir", "hydra.launcher.setup=[touch evil]", "seed=${oc.env:UID}",
    "+figures.x={_target_: os.mkdir, path: evil}", "hydra.sweep.subdir=../evil", "~latent",
    "hydra.searchpath=[file://evil]", "dataset={_target_: os.mkdir}", "network@evil=mlp",
)  # fmt: skip
_DIGITS = "aecore.data.sources.digits.Digits"
CONFIGS: tuple[dict[str, Any], ...] = (  # values in the configuration of a run
    {"task": "compare", "out": "evil"}, {"task": "Compare"}, {"paths": {"data_dir": "evil"}},
    {"dataset": {"cache_dir": "evil"}}, {"paths": {"output_dir": "evil"}}, {"init_from": "evil"},
    {"latent": {"_target_": "os.mkdir", "path": "evil"}}, {"run": "evil"}, {"resume": "evil"},
    {"figures": {"../../evil": {"_target_": "aecore.evaluation.figures.strip.Strip"}}},
    {"logger": {"_target_": "aecore.training.loggers.mlflow.MLflow", "uri": "evil"}},
    {"evaluate": {"ood": {"../evil": {"_target_": _DIGITS}}}}, {"hydra": {"run": {"dir": "evil"}}},
    {"optimized_metric": "${oc.env:HOME}"}, {"penalty": {"../evil": {"_target_": "os.mkdir"}}},
)  # fmt: skip


def killed(draw: Random, kind: str) -> str | None:
    """A run or sweep ended by signals, several times, then resumed."""
    numbers = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    for _ in range(draw.choice([1, 1, 2, 3, 5])):
        argv = ["resume=it"] if is_recorded(kind) else argv_of(kind)
        if not is_recorded(kind):
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
    if not is_recorded(kind):
        shutil.rmtree("it", ignore_errors=True)
    return resumed(kind)


def no_space(draw: Random, kind: str) -> str | None:
    """Files may have some size and no more, as on a full disk; then they may have any."""
    blocks = draw.choice([1, 4, 16, 30, 60, 120])
    command = f"ulimit -f {blocks}; exec {sys.executable} {RUN} " + " ".join(argv_of(kind))
    made = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=SECONDS)
    wrong = reported(Done(made.returncode, made.stdout, made.stderr))
    if wrong or is_recorded(kind):
        return wrong or resumed(kind)
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
    believed = {"config.yaml", "run.json", "sweep.json", "metrics.json"}  # where it is readable
    believed |= {"history.csv"} if kind == "sweep" else set()  # of jobs that have finished
    if done.status == 0 and command == ["resume=it"] and file.name not in believed:
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
    return resumed(kind)


def hostile(draw: Random, kind: str) -> str | None:
    """A record that asks for what only its user may ask for; nothing called `evil` may appear."""
    shutil.copytree(prepared(kind) / "half", "it")
    file = Path("it", "sweep.json" if kind == "sweep" else "config.yaml")
    if kind == "sweep":
        record = json.loads(file.read_text())
        place = draw.choice([record["overrides"], *record["jobs"]])
        place.append(draw.choice(RECORDS))
        file.write_text(json.dumps(record))
    else:
        record = yaml.safe_load(file.read_text())
        for key, value in draw.choice(CONFIGS).items():
            old = record.get(key)
            both = isinstance(old, dict) and isinstance(value, dict)
            record[key] = {**old, **value} if both else value
        file.write_text(yaml.safe_dump(record))
    one = "it" if kind == "run" else "it/0"
    wrong = ended(*draw.choice([["resume=it"], [f"run={one}", "task=sample", "out=out"]]))[1]
    evil = [*Path().rglob("*evil*"), *Path("..").glob("*evil*")]
    return wrong or (f"loss: {evil} was written by {file}" if evil else None)


def linked(draw: Random, kind: str) -> str | None:
    """A file or folder that is a link to somewhere else, which nothing may write to."""
    shutil.copytree(prepared(kind) / "half", "it")
    os.mkdir("victim")
    inside = [p for p in Path("it").rglob("*") if p.name not in ("config.yaml", "run.json")]
    place = draw.choice(sorted(p for p in inside if p.name != "sweep.json"))
    target = Path("victim").absolute() / "file"
    if place.is_dir():
        shutil.rmtree(place)
        target = target.parent
    else:
        place.unlink()
        target.write_bytes(b"kept")
    place.symlink_to(target)
    wrong = ended("resume=it")[1]
    left = {p.name: p.read_bytes() for p in Path("victim").iterdir()}
    changed = left != ({} if target.is_dir() else {"file": b"kept"})
    return wrong or (f"loss: written through the link {place}" if changed else None)


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
        ("a hostile record", hostile), ("a link inside", linked),
    ):  # fmt: skip
        for kind in KINDS:
            yield f"{kind}: {name}", 1, partial(attack, kind=kind)
    yield "command lines, run", 1, lines
    yield "command lines, parsed", 50, parsed
    yield "calls in Python", 20, calls
