"""What the system refuses: streams, file sizes, folders and environment variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aecore.cli import main
from helpers.commands import RUN, started
from helpers.extras import need

TINY = [
    "model=ae", "dataset=digits", "network.hidden=[8]", "figures=none", "trainer.max_epochs=1",
    "hydra.run.dir=run",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_closed_streams_close_nothing_else() -> None:
    """A file that took the number of a closed stream would hold what is printed, too."""
    command = f"exec {sys.executable} {RUN} {' '.join(TINY)} <&- >&- 2>&-"
    assert subprocess.run(command, shell=True).returncode == 0
    assert Path("run/metrics.json").read_text().startswith("{")
    assert Path("run/history.csv").read_text().startswith("epoch,")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, RUN, "task=list", "model=ae"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: No space left on device"


def test_a_limit_of_file_sizes() -> None:
    command = f"ulimit -f 8; exec {sys.executable} {RUN} {' '.join(TINY)} logger=none"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    problem, hint = done.stderr.splitlines()
    assert problem.startswith("error: run/checkpoints/") and problem.endswith(": File too large")
    assert hint == "  continue with: python run.py resume=run"


def test_a_full_disk_under_the_database_of_a_search() -> None:
    need("optuna")
    search = "-m hydra/sweeper=optuna optimized_metric=val/loss 'latent.dim=range(2,8)' logger=none"
    tiny = " ".join(TINY[:-1])
    command = f"ulimit -f 40; exec {sys.executable} {RUN} {search} {tiny} hydra.sweep.dir=sweep"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    problem, hint = done.stderr.splitlines()
    assert problem.startswith("error: hydra.sweeper.storage=sqlite:///") and "Error" in hint


def test_a_run_folder_that_is_deleted_or_replaced() -> None:
    for replaced in (False, True):
        with started(*TINY, "trainer.max_epochs=2000") as command:
            while not Path("run/history.csv").exists():
                time.sleep(0.02)
            os.rename("run", "elsewhere")
            if replaced:
                os.mkdir("run")
            done = command.wait()
        assert done.status == 2, done.err
        lines = done.err.splitlines()
        assert len(lines) == 2 and lines[0].startswith("error: run/"), done.err
        for folder in ("run", "elsewhere"):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "NODE_RANK"])
@pytest.mark.parametrize(
    ("value", "expected"), [("3", "LOCAL_RANK or NODE_RANK"), ("x", "integer")]
)
def test_ranks_that_others_set(
    variable: str,
    value: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(TINY) == 2
    error = capsys.readouterr().err
    assert expected in error and len(error.splitlines()) == 2
    assert not Path("run").exists()
