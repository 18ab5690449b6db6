"""The signals that end a run: Ctrl-C, SIGTERM, SIGHUP, and those of a queue.

While a model is trained a signal is only noted; `received` is asked after each mini-batch, where
the state can be saved. Elsewhere nothing needs saving, and `Interrupted` is raised at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from aecore.errors import Interrupted

# SIGHUP does not exist on every system
_ENDING = tuple(s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP"))
_ONE = 1.0  # seconds in which a signal counts once: `timeout` sends it to a process and its group
_WATCHED = 0.5  # seconds between two looks at the process that started this one
_SAVING = 8.0  # seconds that a process has to save its state


@dataclass
class _Listener:
    """The signals that this process has received, and how it handles them.

    repeated: whether a second signal ends the process at once.
    leads: tells whether whoever started this process still wants it; None: nobody is asked.
    """

    repeated: bool
    leads: Callable[[], bool] | None
    signum: int | None = None
    since: float = 0.0
    asked: float = 0.0
    deferring: int = 0
    previous: dict[int, Any] = field(default_factory=dict)

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signum is not None:
            if self.repeated and now - self.since > _ONE:
                signal.signal(signum, signal.SIG_DFL)
                os.kill(os.getpid(), signum)
            return
        self.signum, self.since = signum, now
        if not self.deferring:
            raise Interrupted(signum)

    def ask(self) -> int | None:
        """The signal that came, or SIGTERM where nobody wants this process any more."""
        now = time.monotonic()
        if self.signum is None and self.leads is not None and now - self.asked > _ONE:
            self.asked = now
            if not self.leads():
                self.signum, self.since = signal.SIGTERM, now
        return self.signum


# of this process, the innermost last; the first one stands for a program that is not ours
_listeners = [_Listener(repeated=False, leads=None)]


def is_listening() -> bool:
    """Whether signals are noted in this process."""
    return len(_listeners) > 1


@contextmanager
def listening(
    signals: tuple[int, ...] = _ENDING,
    *,
    repeated: bool = True,
    leads: Callable[[], bool] | None = None,
) -> Iterator[None]:
    """Note these signals, but for those that this process was started to ignore, as by nohup.

    repeated: whether a second signal ends the process at once.
    leads: asked once a second in training; where it is False the process ends as by SIGTERM.
    """
    listener = _Listener(repeated, leads)
    if threading.current_thread() is threading.main_thread():
        for signum in signals:
            if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                listener.previous[signum] = signal.signal(signum, listener)
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
        for signum, handler in listener.previous.items():
            signal.signal(signum, handler)


def end_with(parent: int) -> None:
    """End this process soon after the one that started it, as by SIGTERM."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCHED)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_SAVING)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def listen_again() -> None:
    """Put the handlers in place again, where a library may have put its own."""
    for signum in _listeners[-1].previous:
        signal.signal(signum, _listeners[-1])


@contextmanager
def deferred() -> Iterator[None]:
    """Only note signals here, where `received` is asked; what came is raised at the end."""
    listener = _listeners[-1]
    listener.deferring += 1
    try:
        yield
    finally:
        listener.deferring -= 1
    if listener.signum is not None:
        raise Interrupted(listener.signum)


def received() -> int | None:
    """The signal by which this process is to end, None where there is none."""
    return _listeners[-1].ask()


def check_received() -> None:
    """Raise Interrupted once more where Python has ignored it, as it does in `__del__`."""
    if (signum := received()) is not None:
        raise Interrupted(signum)


def previous_handler(signum: int) -> Callable[[int, FrameType | None], Any] | None:
    """What handled a signal before it was listened to, as submitit does; None for Python's own."""
    handler = _listeners[-1].previous.get(signum)
    return handler if callable(handler) and handler is not signal.default_int_handler else None


def repeats_end() -> bool:
    """Whether this process is a command of the user's, which a second signal ends at once."""
    return _listeners[-1].repeated


def queue_signals() -> tuple[int, ...]:
    """The ending signals, and those by which a queue tells its jobs to save themselves."""
    users = (getattr(signal, name, None) for name in ("SIGUSR1", "SIGUSR2"))
    return (*_ENDING, *(s for s in users if s is not None and callable(signal.getsignal(s))))
