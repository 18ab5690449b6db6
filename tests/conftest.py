"""One thread a process, and no garbage sought among the tests themselves."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aecore.cli import main

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two in each of two processes take longer
gc.disable()  # until the tests are collected: nothing of them is garbage

# they wait for processes, so one worker begins with them while the other takes from the rest
LONG = (
    "sweeps/test_engines.py", "training/test_killed.py", "cli/test_runs.py",
    "search/test_search.py", "cli/test_lean.py", "cli/test_experiments.py",
)  # fmt: skip


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Asserts that a task is refused in three lines that tell this, and leaves no folder."""

    def check(told: str, *argv: str) -> None:
        out = tmp_path / "refused"
        assert main([*argv, f"out={out}"]) == 2
        lines = capsys.readouterr().err
        assert told in lines and len(lines.splitlines()) <= 3
        assert not out.exists()

    return check


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: a long one begun last would be waited for by all others."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


def pytest_collection_finish() -> None:
    """What is imported and collected by now is passed over when garbage is sought later."""
    gc.freeze()
    gc.enable()
