"""Early stopping through the command line: what it reports and which weights are evaluated."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from aecore.cli import main

DIVERGES = [
    "model=ae", "dataset=digits", "network.hidden=[8]", "latent.dim=4", "figures=none",
    "optimizer=sgd", "optimizer.lr=0.05", "trainer.gradient_clip=1", "optimizer.momentum=0.97",
    "trainer.max_epochs=30", "trainer.early_stopping.patience=2", "hydra.run.dir=run",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def losses() -> list[float]:
    with Path("run/history.csv").open(newline="") as file:
        return [float(row["val/loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("weights", ["auto", "last"])
def test_reports_the_stop_and_evaluates_the_best(
    weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DIVERGES, f"evaluate.weights={weights}"]) == 0
    values = losses()
    best, last = values.index(min(values)) + 1, len(values)
    assert last < 30 and best == last - 2
    tested = f"best ones, of epoch {best}" if weights == "auto" else "last ones"
    line = (
        f"stopped early after epoch {last}: val/loss has not decreased for 2 epochs; "
        f"the weights evaluated are the {tested}\n"
    )
    assert line in capsys.readouterr().out
    before = json.loads(Path("run/metrics.json").read_text())
    name = "best" if weights == "auto" else "last"
    assert torch.load(f"run/checkpoints/{name}.ckpt", weights_only=True)["epoch"] + 1 == (
        best if weights == "auto" else last
    )
    assert main([f"run=run/checkpoints/{name}.ckpt", "task=evaluate", "out=again"]) == 0
    again = json.loads(Path("again/metrics.json").read_text())
    assert before["test/mse"] == again["test/mse"]


def test_plateau_needs_validation_images(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["model=ae", "dataset=digits", "scheduler=plateau", "dataset.val_size=0"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "error: scheduler=plateau: there is no validation split\n"
        "  use dataset.val_size=0.1, or scheduler=none\n"
    )
    assert not Path("outputs").exists()
