"""What may end a run, each with its exit status; `aecore.cli` alone catches those.

`NotApplicable` ends nothing: one figure or metric is left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A wrong word, value, file or combination; at most three lines: the culprit, then the mend."""

    exit_status = 2


class NonFiniteLoss(Exception):
    """A loss became NaN or infinite: the run ends, its last good checkpoint stays."""

    exit_status = 3


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: the run was saved and can be resumed."""

    exit_status = 130


class NotApplicable(Exception):
    """A figure or a metric has nothing to tell of this model or these data; says the reason."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as ` (did you mean 'vae'?)`, or an empty string where nothing is near."""
    near = difflib.get_close_matches(word, sorted(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(repr(w) for w in near)}?)" if near else ""
