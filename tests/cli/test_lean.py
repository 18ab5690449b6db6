"""Many jobs in one process leave nothing behind: no memory, threads, files or handlers."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import logging
import os
import threading
from pathlib import Path

import pytest
from torch import Tensor, nn

from aecore.cli import main
from helpers.dying_penalties import write_yaml

TINY = ["model=ae", "trainer=debug", "figures=none", "network.hidden=[16]"]
MEGABYTE = 1e6


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def memory() -> float:
    """What this process holds in memory, in bytes, once the allocator has given back the rest."""
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(libc, "malloc_trim"):  # else what a job has freed counts, as long as it is kept
        libc.malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held() -> dict[str, int]:
    """What else a job could leave behind."""
    gc.collect()
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "handlers": sum(len(logger.handlers) for logger in loggers),
        "tensors": sum(issubclass(type(known), Tensor | nn.Module) for known in gc.get_objects()),
        "filters": sum(len(logger.filters) for logger in loggers),
    }


def test_jobs_leave_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*TINY, "logger=tensorboard"]
    assert main(["-m", "seed=range(0,3)", *argv]) == 0  # the allocator settles first
    before, start = held(), memory()
    capsys.readouterr()
    assert main(["-m", "seed=range(0,8)", *argv]) == 0
    assert held() == before
    assert (memory() - start) / 8 < 1 * MEGABYTE
    lines = capsys.readouterr().out.splitlines()
    for job in range(8):
        assert (
            sum(
                line.startswith(f"job {job + 1}/8: ") and line.endswith(f" -> {job}")
                for line in lines
            )
            == 1
        )


def test_failed_jobs_leave_nothing_behind(tmp_path: Path) -> None:
    write_yaml(tmp_path / "words", rank=0)
    argv = ["--config-dir", "words", "-m", "penalty=failing", *TINY, "logger=tensorboard"]
    assert main([*argv, "seed=range(0,3)"]) == 1
    before, start = held(), memory()
    assert main([*argv, "seed=range(0,8)"]) == 1
    assert held() == before
    assert (memory() - start) / 8 < 1 * MEGABYTE
    (sweep,) = (p for p in Path("outputs/sweeps/grid").iterdir() if (p / "7").exists())
    assert all("as planned" in (sweep / f"{n}/error.txt").read_text() for n in range(8))
