"""Many jobs at once and one job in many processes, each through the real engine."""

from __future__ import annotations

import csv
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

from aecore.cli import main
from aecore.config.folders import ROOT
from aecore.sweeps import job
from helpers.commands import RUN, Done, called, started
from helpers.dying_penalties import write_yaml
from helpers.extras import need

STARTERS = {
    "torchrun": [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
    ],
    "srun": ["srun", "--ntasks=2", sys.executable],
}  # fmt: skip
BY_SLURM = ["-m", "hydra/launcher=submitit_slurm", "hydra.launcher.tasks_per_node=2"]
TINY = ["trainer=debug", "figures=none", "logger=none"]
# an odd batch size and a ragged last batch: the shares of two processes differ
SHARED = [
    "model=ae", "figures=none", "logger=none", "trainer/accelerator=cpu", "trainer.max_epochs=2",
    "dataset.batch_size=11", "dataset.train_size=400", "network.hidden=[16]", "trainer.log_every=1",
]  # fmt: skip
DDP = ["trainer=ddp", "trainer.devices=2"]
LAUNCHERS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def need_launcher(launcher: str) -> None:
    """Skip where a launcher cannot run here, naming what misses."""
    need(LAUNCHERS[launcher])
    if launcher == "submitit_slurm":
        need_slurm()


def need_slurm() -> None:
    """Skip where no Slurm answers."""
    command = ["timeout", "10", "sinfo"]  # it is patient with a controller that is gone
    if (
        shutil.which("sinfo") is None
        or subprocess.run(command, capture_output=True).returncode != 0
    ):
        pytest.skip("no Slurm is running: `.ci/slurm start FOLDER` brings one up")


def environment() -> dict[str, str]:
    """The shell of a user who said nothing about threads."""
    kept = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    return {**kept, "PYTHONPATH": str(ROOT)}


def launched(*argv: str, status: int = 0) -> Done:
    """A command that starts processes, which are not told how many threads to use."""
    return called(*argv, status=status, environment=environment())


def metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a run without its times."""
    found = json.loads((folder / "metrics.json").read_text())
    return {k: v for k, v in found.items() if not k.startswith("train/")}


def table(sweep: Path) -> list[dict[str, str]]:
    """The rows of summary.csv without times."""
    with (sweep / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith("train/")} for row in rows]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_same_numbers(launcher: str) -> None:
    need_launcher(launcher)
    subdir = 'hydra.sweep.subdir=it\'s [${hydra.job.num}], é="x"/${hydra.job.num}'
    argv = ["-m", "model=ae,pca", *TINY, subdir]
    done = launched(*argv, f"hydra/launcher={launcher}", "hydra.sweep.dir=there")
    assert main([*argv, "hydra.sweep.dir=here"]) == 0
    assert table(Path("there")) == table(Path("here"))
    assert sorted(p.name for p in Path("there").iterdir() if p.name != ".submitit") == [
        "groups.csv", 'it\'s [0], é="x"', 'it\'s [1], é="x"', "report.html", "summary.csv",
        "summary.json", "sweep.json",
    ]  # fmt: skip
    for folder in Path("there").glob("it*/[01]"):
        config = yaml.safe_load((folder / "config.yaml").read_text())
        assert config["trainer"]["threads"] == 1
    assert "Warning" not in done.err
    assert "requeue" not in done.out + done.err


def test_slurm_tells_the_threads() -> None:
    need_launcher("submitit_slurm")
    argv = ["-m", "model=pca", *TINY, "hydra/launcher=submitit_slurm"]
    launched(*argv, "hydra.launcher.cpus_per_task=2", "hydra.sweep.dir=sweep")
    config = yaml.safe_load(Path("sweep/0/config.yaml").read_text())
    assert config["trainer"]["threads"] == 2


@pytest.mark.parametrize("launcher", ["joblib", "submitit_slurm"])
def test_a_killed_job_costs_only_itself(launcher: str, tmp_path: Path) -> None:
    need_launcher(launcher)
    write_yaml(tmp_path / "words", rank=0)
    argv = ["--config-dir", "words", "-m", "model=ae", "penalty=dying,none", *TINY]
    done = launched(*argv, f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep", status=1)
    assert "resume=sweep" in done.out
    assert (tmp_path / "sweep/0/error.txt").read_text().startswith("its process was lost: ")
    assert [row["state"] for row in table(Path("sweep"))] == ["failed", "finished"]
    (tmp_path / "words" / "file").unlink()
    assert main(["resume=sweep", "hydra/launcher=basic"]) == 2  # whose words are they?
    assert main(["--config-dir", "words", "resume=sweep", "hydra/launcher=basic"]) == 0
    assert [row["state"] for row in table(Path("sweep"))] == ["finished", "finished"]


def test_a_killed_sweep_is_finished_by_another_launcher() -> None:
    need("joblib")
    argv = ["-m", "model=ae", "seed=0,1,2,3,4,5", "trainer.max_epochs=4", *TINY[1:]]
    argv.append("network.hidden=[16]")
    part = [*argv, "hydra/launcher=joblib", "hydra.sweep.dir=part"]
    with started(*part, environment=environment()) as child:
        deadline = time.monotonic() + 60
        while not list(Path("part").glob("*/metrics.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    finished = {p: p.stat().st_mtime_ns for p in Path("part").glob("*/metrics.json")}
    assert 0 < len(finished) < 6
    assert main(["resume=part", "hydra/launcher=basic"]) == 0
    assert main([*argv, "hydra.sweep.dir=whole"]) == 0
    assert table(Path("part")) == table(Path("whole"))
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())


@pytest.mark.parametrize("starter", ["torchrun", "srun", "submitit_slurm"])
def test_two_processes_train_as_one(starter: str) -> None:
    """Those that run.py starts itself: training/test_trainer_options.py."""
    if starter == "srun":
        need_slurm()
    if starter == "submitit_slurm":
        need_launcher(starter)
    if starter in STARTERS:
        command = [*STARTERS[starter], RUN, *SHARED, *DDP]
        told = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert told.returncode == 0, told.stdout + told.stderr
        errors = told.stderr
    else:
        errors = launched(*SHARED, *DDP, *BY_SLURM).err
    assert main([*SHARED, "hydra.run.dir=one"]) == 0
    (two,) = Path("outputs").glob("*/*" if starter != "submitit_slurm" else "sweeps/*/*/0")
    assert metrics(two) == pytest.approx(metrics(Path("one")), rel=1e-5)
    rows = [list(csv.DictReader((f / "history.csv").open())) for f in (two, Path("one"))]
    for row, other in zip(*rows, strict=True):
        assert float(row["train/loss"]) == pytest.approx(float(other["train/loss"]), rel=1e-5)
        assert (row["step"], row["images"]) == (other["step"], other["images"])
    assert "Warning" not in errors


def test_a_job_of_two_processes_that_loses_one(tmp_path: Path) -> None:
    """Only the job with a process of rank 1 meets its death there; resumed, both are equal."""
    write_yaml(tmp_path / "words", rank=1)
    argv = ["--config-dir", "words", "-m", "trainer.devices=2,1", "penalty=dying", *SHARED]
    launched(*argv, "trainer=ddp", "hydra.sweep.dir=sweep", status=1)
    assert not Path("outputs").exists()
    assert sorted(p.name for p in Path("sweep").iterdir() if p.is_dir()) == ["0", "1"]
    first, mend = (tmp_path / "sweep/0/error.txt").read_text().splitlines()[:2]
    # or gloo aborts the leader before it can tell
    assert re.fullmatch("(the process of rank 1|a process of this job) was killed by SIG.*", first)
    assert mend.endswith("sweep/0 goes on")
    assert (tmp_path / "sweep/1/metrics.json").exists()
    (tmp_path / "words" / "file").unlink()
    launched("--config-dir", "words", "resume=sweep")
    assert not Path("sweep/0/error.txt").exists()
    assert metrics(Path("sweep/0")) == pytest.approx(metrics(Path("sweep/1")), rel=1e-5)


def test_processes_that_were_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(key, value)
    assert main(TINY) == 2
    assert "trainer=ddp trainer.devices=2" in capsys.readouterr().err
    assert main(["-m", "seed=0,1", *TINY]) == 2
    assert "start it alone" in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_that_is_not_installed(
    launcher: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its plugin nothing stands under a launcher's name in Hydra's store."""
    main(["--help"])
    known = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(known, f"{launcher}.yaml", raising=False)
    assert main(["-m", "seed=0,1", f"hydra/launcher={launcher}", *TINY]) == 2
    first, mend = capsys.readouterr().err.splitlines()
    assert first == f"error: hydra/launcher={launcher}: not installed"
    assert mend == f"  pip install -e '.[{LAUNCHERS[launcher]}]' brings it"
    assert not list(Path().iterdir())


def test_a_job_leaves_nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra keeps the configuration of each job that it launches until the last has ended."""
    kept: list[int] = []
    whole = job.run_job

    def run_job(config: Any) -> float | None:
        value = whole(config)
        gc.collect()
        kept.append(sum(isinstance(one, JobReturn) for one in gc.get_objects()))
        return value

    monkeypatch.setattr(job, "run_job", run_job)
    assert main(["-m", "seed=0,1,2,3", "model=ae", "trainer.max_epochs=1", *TINY[1:]]) == 0
    assert len(kept) == 4 and max(kept) <= 1  # its own
