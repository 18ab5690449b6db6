"""When Python collects garbage: not while modules come in, and not among them later."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """For imports: they make half a million objects that stay, which would be gone through often.

    A second of a command's start is saved.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def set_modules_aside() -> None:
    """For a process of ours: no later collection goes through what is there now."""
    if gc.get_freeze_count() == 0:
        gc.freeze()
        atexit.register(gc.unfreeze)  # libraries count what is left at the end
