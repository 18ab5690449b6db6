"""Processes to measure: each has its stderr on a terminal of its own, as at a desk."""

from __future__ import annotations

import importlib
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUN = str(ROOT / "run.py")
_MARK = "answer: "


@dataclass(frozen=True)
class Finished:
    """A process that has ended: seconds since it was started, and its largest resident memory."""

    status: int
    started: float  # time.time()
    wall: float
    megabytes: float
    output: str
    errors: str


class FailedError(Exception):
    """A process ended with another status than it should; the last lines of what it said."""


def python(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
    cwd: str | None = None,
) -> Finished:
    """Run Python with these arguments to its end; raises FailedError."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    master, slave = pty.openpty()
    said: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(master, said))
    with tempfile.TemporaryFile("w+") as output:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, stderr=slave, env=environment, cwd=cwd
        )
        os.close(slave)
        reader.start()
        _, code, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(code)
        reader.join()
        os.close(master)
        output.seek(0)
        text = output.read()
    errors = b"".join(said).decode(errors="replace")
    scale = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there
    if process.returncode != status:
        last = "\n".join((errors or text).splitlines()[-12:])
        raise FailedError(f"status {process.returncode} of: {' '.join(arguments)}\n{last}")
    return Finished(status, started, wall, usage.ru_maxrss / scale, text, errors)


def _drain(master: int, said: list[bytes]) -> None:
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says so when the other end is closed
            return
        if not part:
            return
        said.append(part)


def call(module: str, threads: int, arguments: Mapping[str, Any]) -> Any:
    """`module.run(**arguments)` in a process of its own; raises FailedError."""
    environment = {"OMP_NUM_THREADS": str(threads)}
    done = python(__file__, module, json.dumps(dict(arguments)), environment=environment)
    return answer(done.output)


def answer(output: str) -> Any:
    """What `reply` printed, last."""
    return json.loads(output[output.rindex(_MARK) + len(_MARK) :])


def reply(value: object) -> None:
    """Print the answer to whoever called."""
    print(_MARK + json.dumps(value), flush=True)


if __name__ == "__main__":
    reply(importlib.import_module(sys.argv[1]).run(**json.loads(sys.argv[2])))
