"""`task=where`: the folders in use."""

from __future__ import annotations

from typing_extensions import override

from aecore.config.terminal import say
from aecore.tasks.base import Request, Task


class Where(Task):
    """Prints where runs and data are."""

    @override
    def __call__(self, request: Request) -> dict[str, float]:
        for name, folder in request.config["paths"].items():
            say(f"{name}: {folder}")
        return {}
