"""What other processes do with the lock of a folder, for `FORKED.Process`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from aecore.runs.lock import LEADER, is_led, writing
from helpers.commands import FORKED

PATIENCE = 60.0  # seconds, after which something has failed


def until(happened: Callable[[], object]) -> None:
    """Wait for that."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hold(folder: Path, with_child: bool) -> None:
    """Hold the lock for long, with a forked child that lives as long, whose pid is in a file."""
    with writing(folder):
        if with_child and os.fork() == 0:
            os.setsid()
            (folder / "child.new").write_text(str(os.getpid()))
            (folder / "child.new").rename(folder / "child")
            time.sleep(PATIENCE)
            os._exit(0)
        (folder / "held").touch()
        time.sleep(PATIENCE)


@contextmanager
def held(folder: Path, with_child: bool = False) -> Iterator[ForkServerProcess]:
    """Another process holds the lock of a folder."""
    process = FORKED.Process(target=hold, args=(folder, with_child))
    process.start()
    until((folder / "held").exists)
    (folder / "held").unlink()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def count(folder: Path, times: int) -> None:
    """Add one to a number in a file, again and again, a lock each time."""
    for _ in range(times):
        with writing(folder, seconds=PATIENCE):
            number = int((folder / "count").read_text())
            time.sleep(0.001)
            (folder / "count").write_text(str(number + 1))


def report(folder: Path, leader: str, answers: Any) -> None:
    """Tell whether a worker of that leader is led."""
    os.environ[LEADER] = leader
    answers.put(is_led(folder))


def grab(folder: Path) -> None:
    """Take the lock at once, or fail."""
    with writing(folder, seconds=0):
        pass
