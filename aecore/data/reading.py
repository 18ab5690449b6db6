"""Reading data without writing any, where folders are named by runs from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from aecore.errors import UserError

_READ_ONLY = ContextVar("read_only", default=False)


@contextmanager
def reading_only() -> Iterator[None]:
    """For a while, let nothing be downloaded, drawn or decoded into data folders."""
    before = _READ_ONLY.set(True)
    try:
        yield
    finally:
        _READ_ONLY.reset(before)


def check_writable(path: Path) -> None:
    """Raise UserError where data would be written to a path while they are only to be read."""
    if _READ_ONLY.get():
        raise UserError(f"{path} is not there, and only a training or a task with run= makes it")
