"""What the terminal shows: text in which no foreign name can move the cursor or hide a line.

Names of folders, keys of metrics and contents of files may come from anywhere. All that is printed
goes through `say`, all that is logged through the filter of this module.
"""

from __future__ import annotations

import logging
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# controls (Cc), formats such as bidirectional overrides (Cf), line and paragraph separators
_LABEL: ContextVar[str] = ContextVar("label", default="")
_INVISIBLE = {"Cc", "Cf", "Zl", "Zp"}


def visible(text: object) -> str:
    r"""Text whose control and format characters are written as escapes, ESC as `\x1b`.

    Line feeds stay. Bytes of a file name that are no text stay too: the streams escape them.
    """
    return "".join(
        c.encode("unicode_escape").decode()
        if c != "\n" and unicodedata.category(c) in _INVISIBLE
        else c
        for c in str(text)
    )


def in_one_line(text: object) -> str:
    """The same for a cell of a table, which has no line feed."""
    return visible(text).replace("\n", "\\n")


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """For a while, begin every line that is said or logged with a label, as `job 4/8`."""
    before = _LABEL.set(f"{label}: ")
    try:
        yield
    finally:
        _LABEL.reset(before)


def say(text: object = "", *, error: bool = False) -> None:
    """Print text at once, on stdout or stderr, visible as it is; OSError where that is closed."""
    show(_with_label(visible(text)), error=error)


def show(text: str, *, error: bool = False) -> None:
    """Print text whose foreign parts are `visible` already, with escapes of our own (bold)."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


class VisibleText(logging.Filter):
    """Makes the messages of a logger visible, whichever handler prints them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message; every record passes."""
        record.msg, record.args = _with_label(visible(record.getMessage())), ()
        return True


def _with_label(text: str) -> str:
    label = _LABEL.get()
    return "\n".join(label + line for line in text.split("\n")) if label else text


def warn_on_stderr(level: int = logging.WARNING) -> None:
    """Give our own logger its own handler: Hydra takes the root's away in a multirun."""
    log = logging.getLogger("aecore")
    log.setLevel(level)
    for old in log.handlers[:]:
        log.removeHandler(old)  # its stream may be closed by now
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    log.addHandler(handler)


def log_visibly() -> None:
    """Add the filter to our logger, once."""
    log = logging.getLogger("aecore")
    if not any(isinstance(known, VisibleText) for known in log.filters):
        log.addFilter(VisibleText())


log_visibly()  # on import, so in every process that a launcher starts
