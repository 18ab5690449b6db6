"""Signals that end a run or a sweep, each through the real command line."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aecore.cli import main
from aecore.config.folders import ROOT
from aecore.errors import Interrupted
from aecore.runs.checkpoint import LAST, load
from aecore.training.signals import deferred, listening, received
from helpers.commands import called, started
from helpers.dying_penalties import write_yaml
from helpers.extras import need

# 37 mini-batches an epoch in one chunk: what is saved is saved within it
SIGNALLING = [
    "--config-dir", "words", "penalty=dying", "model=ae", "network.hidden=[16]", "figures=none",
    "dataset.batch_size=11", "dataset.train_size=400", "logger=none", "trainer.max_epochs=2",
    "trainer/accelerator=cpu",
]  # fmt: skip

LATE = """
import os, signal
from torch import Tensor
from aecore.config.component import component
from aecore.model.penalties.base import Penalty

class Late(Penalty):
    @component
    def __init__(self) -> None:
        super().__init__()

    def forward(self, p) -> Tensor:
        return p.x.new_zeros(len(p.x))

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def states(sweep: Path) -> list[str]:
    """The state of each job, by the summary of its sweep."""
    with (sweep / "summary.csv").open(newline="") as file:
        return [row["state"] for row in csv.DictReader(file)]


def step_of(run: Path) -> Any:
    """Steps that the last checkpoint of a run has done."""
    return load(run / "checkpoints" / LAST)["step"]


class TestARun:
    @pytest.mark.parametrize(
        ("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)]
    )
    def test_it_is_saved_after_the_very_mini_batch(self, name: str, status: int) -> None:
        write_yaml(Path("words"), rank=0, step=5, signal=name)
        done = called(*SIGNALLING, "hydra.run.dir=run", status=status)
        by = "" if name == "SIGINT" else f" by {name}"
        first, second = done.err.splitlines()[-2:]
        place = "--config-dir " + str(Path("words").absolute())
        assert first == f"interrupted{by}; continue with: python run.py {place} resume=run"
        assert second == (f"  or evaluate it as it is: python run.py {place} run=run task=evaluate")
        assert step_of(Path("run")) == 5
        went_on = called("--config-dir", "words", "resume=run")
        assert "(step 5, within epoch 1)" in went_on.out and step_of(Path("run")) == 74

    @pytest.mark.parametrize("rank", [0, 1])
    def test_of_two_processes_either_ends_both(self, rank: int) -> None:
        write_yaml(Path("words"), rank=rank, step=5, signal="SIGTERM")
        ddp = ["trainer=ddp", "trainer.devices=2", "hydra.run.dir=run"]
        with started(*SIGNALLING, *ddp) as command:
            done = command.wait()
            with pytest.raises(ProcessLookupError):
                os.killpg(command.pid, 0)
        assert done.status == 143 and step_of(Path("run")) == 5
        assert done.err.count("interrupted by SIGTERM") == 1


class TestASweep:
    def test_one_after_another(self) -> None:
        write_yaml(Path("words"), rank=0, step=5, signal="SIGTERM")
        done = called(*SIGNALLING, "-m", "seed=1,2", "hydra.sweep.dir=sweep", status=143)
        assert done.err.splitlines()[-1].endswith("resume=sweep")
        assert states(Path("sweep")) == ["unfinished"] * 2 and step_of(Path("sweep/0")) == 5
        assert main(["--config-dir", "words", "resume=sweep"]) == 0
        assert states(Path("sweep")) == ["finished"] * 2

    def test_that_python_ignores_once(self) -> None:
        """What is raised in `__del__` is lost, here that of a model which was only checked."""
        Path("words/penalty").mkdir(parents=True)
        Path("words/penalty/late.yaml").write_text(
            "late:\n  _target_: late.Late\n  weight: 1.0\n  schedule: constant\n  warmup: 0\n"
        )
        Path("words/late.py").write_text(LATE)
        argv = ["--config-dir", "words", "-m", "seed=1,2", "penalty=late", "hydra.sweep.dir=sweep"]
        done = called(*argv, *SIGNALLING[3:], status=143)
        (line,) = done.err.splitlines()
        assert line.startswith("interrupted by SIGTERM") and line.endswith("resume=sweep")
        assert not list(Path("sweep").glob("*/error.txt"))

    def test_two_at_once(self) -> None:
        """A worker tells the process that started it; both jobs are saved, and nobody goes on."""
        need("joblib")
        write_yaml(Path("words"), rank=0, step=5, signal="SIGTERM", parent=True)
        several = ["-m", "seed=1,2,3,4", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        with started(
            *SIGNALLING[:-2], "trainer.max_epochs=100000", *several, "hydra.sweep.dir=sweep"
        ) as command:
            done = command.wait(120)
            assert done.status == 143, done.err
            deadline = time.monotonic() + 20  # joblib's own helper takes a moment
            with pytest.raises(ProcessLookupError):
                while time.monotonic() < deadline:
                    os.killpg(command.pid, 0)
                    time.sleep(0.1)
        assert states(Path("sweep")) == ["unfinished"] * 4
        assert not list(Path("sweep").glob("*/error.txt"))
        assert any(step_of(job.parent.parent) for job in Path("sweep").glob("*/checkpoints/last*"))

    def test_one_worker_costs_its_own_job(self) -> None:
        need("joblib")
        write_yaml(Path("words"), rank=0, step=5, signal="SIGTERM")
        done = called(
            *SIGNALLING, "-m", "penalty=dying,none", "hydra/launcher=joblib",
            "hydra.sweep.dir=sweep", status=1,
        )  # fmt: skip
        assert ": failed: interrupted by SIGTERM" in done.err
        assert states(Path("sweep")) == ["failed", "finished"] and step_of(Path("sweep/0")) == 5

    def test_a_queue_starts_its_job_again(self) -> None:
        """submitit tells a job that its time is over; once saved it is queued again."""
        need("slurm")
        write_yaml(Path("words"), rank=0, step=5, signal="SIGUSR2")
        queue = ["-m", "hydra/launcher=submitit_local", "hydra.sweep.dir=sweep"]
        called(*SIGNALLING, *queue)
        assert states(Path("sweep")) == ["finished"]
        (log,) = Path("sweep").glob(".submitit/*/*/*_log.err")
        assert "Caught signal SIGUSR2" in log.read_text()

    def test_a_search_goes_on(self) -> None:
        need("optuna")
        write_yaml(Path("words"), rank=0, step=5, signal="SIGTERM")
        search = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep"]
        argv = [*SIGNALLING, *search, "optimized_metric=val/loss", "latent.dim=range(2,9)"]
        argv.append("dataset.val_size=50")
        called(*argv, status=143)
        assert states(Path("sweep")) == ["unfinished"]
        assert main(["--config-dir", "words", "resume=sweep"]) == 0
        assert states(Path("sweep")) == ["finished"] * 2


SCRIPT = """
import time
from aecore.training.signals import deferred, listening
with listening(), deferred():
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_second_one_ends_at_once_but_one_sent_twice_is_one() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.5)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == -signal.SIGTERM


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert received() is None and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_outside_of_training_it_is_raised_at_once() -> None:
    with listening(), pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    with listening(), pytest.raises(Interrupted), deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert received() == signal.SIGTERM
