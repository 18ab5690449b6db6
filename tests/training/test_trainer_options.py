"""Augmented, accumulated, warmed up and averaged, through the command line."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from aecore.cli import main
from aecore.config.folders import ROOT
from aecore.runs.checkpoint import LAST, load
from helpers.checkpoints import same_checkpoint
from helpers.commands import called, started
from helpers.dying_penalties import write_yaml

SMALL = [
    "model=ae", "network.hidden=[24]", "dataset.batch_size=32", "dataset.train_size=400",
    "trainer.accumulate=3", "trainer.warmup=0.5", "trainer.ema=0.8", "trainer.gradient_clip=1",
    "trainer.max_epochs=2", "trainer/accelerator=cpu", "figures=none", "logger=none",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def metrics(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "metrics.json").read_text())
    return {name: value for name, value in found.items() if "second" not in name}


def history(run: str) -> list[dict[str, str]]:
    with Path(run, "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_processes_train_as_one_does() -> None:
    """Also the critic: the mean over a group is one over the images of both."""
    command = [*SMALL, "reconstruction=[mse,adversarial]"]
    # the shell of a user who said nothing about threads
    kept = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    assert main([*command, "hydra.run.dir=one"]) == 0
    ddp = ["trainer=ddp", "trainer.devices=2", "hydra.run.dir=outputs/mine/two"]
    done = called(*command, *ddp, environment={**kept, "PYTHONPATH": str(ROOT)})
    assert "26 steps, 3 to a step of the optimizer" in done.out
    assert "evaluated with averaged weights (decay 0.8)" in done.out
    assert "Warning" not in done.err
    one, two = "one", "outputs/mine/two"
    assert metrics(one) == pytest.approx(metrics(two), rel=1e-4)
    for row, other in zip(history(one), history(two), strict=True):
        assert float(row["train/loss"]) == pytest.approx(float(other["train/loss"]), rel=1e-4)
        assert (row["step"], row["images"]) == (other["step"], other["images"])


def test_a_run_killed_with_everything_at_once() -> None:
    write_yaml(Path("words"), rank=0, step=20)
    command = [
        "--config-dir", "words", *SMALL, "penalty=dying", "augment=[shift,rotate,erase]",
        "augment.input_only=true", "optimizer=torch", "optimizer.name=NAdam",
        "optimizer.options.weight_decay=0.01", "scheduler=step", "scheduler.epochs=1",
        "trainer.checkpoint_minutes=0", "trainer.log_every=3", "noise=gaussian",
    ]  # fmt: skip
    with started(*command, "hydra.run.dir=parts") as first:
        assert first.wait().status != 0
    assert load(Path("parts/checkpoints") / LAST)["step"] == 19
    Path("words/file").unlink()
    called("--config-dir", "words", "resume=parts")
    called(*command, "hydra.run.dir=whole")
    same_checkpoint(*(Path(run, "checkpoints", LAST) for run in ("whole", "parts")))
    assert metrics("whole") == metrics("parts")
