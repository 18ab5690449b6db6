"""The lock of a run or a sweep: one process writes into its folder.

The operating system holds it, and gives it up when its process ends, however that comes. Child
processes do not inherit it. The lock is `lockf`'s: it also goes if its own process closes the file
a second time, so nothing but this module opens that file.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path

from aecore.errors import UserError
from aecore.runs.files import check_links, checked, remove, remove_temporary

FILE = ".running"  # there while a process writes; its content says which
LEADER = "AECORE_LEADER"  # that content, for processes that the holder starts
_LONGEST = 1000  # bytes of the content that are read


@contextmanager
def writing(
    folder: Path, doing: str = "training this run", *, hint: str = "", seconds: float = 1.0
) -> Iterator[Path]:
    """Be the only process that writes into the folder of a run or a sweep, if a leader.

    Also removes what a killed process was about to write there.

    doing: what another holder is said to be doing. seconds: how long to wait for it.
    Raises UserError where another process holds the lock, and where links lead out of the folder.
    """
    path = folder / FILE
    descriptor = _locked(path, doing, hint, time.monotonic() + seconds)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, identity().encode())
        check_links(folder)
        remove_temporary(folder)
        yield folder
    finally:
        with suppress(OSError):  # the folder may be gone
            remove(path)
        os.close(descriptor)


def _locked(path: Path, doing: str, hint: str, deadline: float) -> int:
    """The descriptor of the file, locked; where a file system has no locks it is only opened."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: no file of this project", "delete it")
    while True:
        descriptor = os.open(checked(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(os.read(descriptor, _LONGEST))
            os.close(descriptor)
            if time.monotonic() > deadline:
                problem = f"{path.parent}: another process{holder} is {doing}"
                raise UserError(problem, hint or "wait until it has ended, or end it") from None
            time.sleep(0.05)
            continue
        except OSError:
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # its last holder has removed it meanwhile


def _holder(content: bytes) -> str:
    """Which process holds the lock, empty where its file does not say that."""
    try:
        record = json.loads(content)
        return f" (pid {record['pid']} on host {record['host']}, since {record['since']})"
    except (ValueError, KeyError, TypeError):
        return ""


def dismiss(folder: Path) -> bool:
    """Let the processes that the holder started know that it does not want them any more.

    Returns whether they did not know that before.
    """
    news = (folder / FILE).stat().st_size > 0
    os.truncate(folder / FILE, 0)  # opens nothing
    return news


def is_led(folder: Path) -> bool:
    """Whether the process that started this one holds the lock and wants this one to go on."""
    try:
        with (folder / FILE).open("rb") as file:
            content = file.read(_LONGEST).decode()
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return content == os.environ.get(LEADER, content) != ""
    except OSError:  # a file system without locks, so nobody can know
        return True
    return False


def identity() -> str:
    """This process, in the content of the locks that it holds."""
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return json.dumps({"pid": pid, "host": socket.gethostname(), "since": since})
