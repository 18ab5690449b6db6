"""What every optimizer promises: nothing but that it is one."""

from __future__ import annotations

from abc import ABC


class Optimizer(ABC):  # noqa: B024
    """A way to find weights: a `Gradient` descends step by step, a `ClosedForm` solves at once."""
