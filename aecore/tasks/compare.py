from __future__ import annotations

from aecore.tasks.base import Request, Task
from aecore.words import word


class Compare(Task):
    @word
    def __init__(self, *, runs: str | list[str] | None, out: str | None) -> None:
        self.runs = runs

    def __call__(self, request: Request) -> dict[str, float]:
        return {}
