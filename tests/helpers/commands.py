"""Commands in processes of their own, as a user starts them, but without a user's waiting.

Importing torch and Lightning takes several times as long as a small run. So each process is forked
from one that has imported them, and then runs `run.py` as `__main__`: with its own arguments,
environment, output and exit status, and with signals of its own.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import os
import runpy
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from aecore.config.folders import ROOT

RUN = str(ROOT / "run.py")
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["aecore.sweeps.plan", "aecore.tasks.run"])


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status (negative: the signal that killed it), its output."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """A command under way. It leads a session of its own, as `setsid` gives it."""

    process: ForkServerProcess
    files: tuple[Path, Path]

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 300.0) -> Done:
        """Wait until it has ended."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, "it goes on and on"
        return Done(self.process.exitcode, *(file.read_text() for file in self.files))


@contextmanager
def started(*argv: str, environment: Mapping[str, str] | None = None) -> Iterator[Command]:
    """`python run.py` with these arguments, in this folder; it is killed if it outlives the block.

    environment: all its variables, those of this process where it is None.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder, "out"), Path(folder, "err"))
        for file in files:
            file.touch()  # there is something to read even of a process killed at once
        variables = dict(os.environ if environment is None else environment)
        process = FORKED.Process(target=_run, args=(argv, os.getcwd(), variables, files))
        process.start()
        try:
            yield Command(process, files)
        finally:
            if process.is_alive():
                process.kill()
            process.join()


def called(*argv: str, status: int = 0, environment: Mapping[str, str] | None = None) -> Done:
    """What `python run.py` with these arguments left; asserts how it ended."""
    with started(*argv, environment=environment) as command:
        done = command.wait()
    assert done.status == status, done.out + done.err
    return done


def speak_into(out: Path, err: Path) -> None:
    """Append to these files what this process writes to stdout and stderr."""
    for number, file in enumerate((out, err), start=1):
        with file.open("ab") as opened:
            os.dup2(opened.fileno(), number)


def _run(
    argv: tuple[str, ...], folder: str, variables: dict[str, str], files: tuple[Path, Path]
) -> None:
    """Become that command, in the new process."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even if the tests ignore them
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    speak_into(*files)
    sys.argv = [RUN, *argv]
    try:
        runpy.run_path(RUN, run_name="__main__")
    except Exception:  # else it would leave before Python tells
        traceback.print_exc()
        raise
    finally:
        # as an interpreter ends; in a process of multiprocessing that is done later or not at all
        threading._shutdown()
        multiprocessing.util._exit_function()
        atexit._run_exitfuncs()
