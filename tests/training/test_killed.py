"""A run whose process is killed within an epoch, through the command line."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from aecore.config.folders import ROOT
from aecore.runs.checkpoint import BEST, LAST, load
from helpers.checkpoints import same_checkpoint
from helpers.commands import called, started
from helpers.dying_penalties import write_yaml

MORTAL = [
    "--config-dir", "words", "penalty=dying", "model=ae", "noise=gaussian", "network.dropout=0.2",
    "network.hidden=[24]", "dataset.batch_size=11", "dataset.train_size=400", "logger=csv",
    "figures=none", "evaluate.weights=best", "trainer/accelerator=cpu", "trainer.max_epochs=2",
    "trainer.log_every=3", "trainer.checkpoint_minutes=0",
]  # fmt: skip


def test_sigkill_in_the_second_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the command line; of two processes, the one of rank 1 is killed."""
    monkeypatch.chdir(tmp_path)
    write_yaml(tmp_path / "words", rank=1, step=50)
    late = ["reconstruction=[mse,adversarial]", "reconstruction.adversarial.start=1"]
    command = [*MORTAL, *late, "trainer=ddp", "trainer.devices=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with started(*command, "hydra.run.dir=parts", environment=environment) as first:
        assert first.wait().status != 0 and not Path("parts/metrics.json").exists()
    steps = load(Path("parts/checkpoints") / LAST)["step"]
    assert 37 < steps < 50 and steps % 37 % 3 == 0
    (tmp_path / "words" / "file").unlink()
    went_on = called("--config-dir", "words", "resume=parts", environment=environment)
    assert f"checkpoints/last.ckpt (step {steps}, within epoch 2)" in went_on.out
    called(*command, "hydra.run.dir=whole", environment=environment)
    whole, parts = (Path(name) for name in ("whole", "parts"))
    same_checkpoint(whole / "checkpoints" / LAST, parts / "checkpoints" / LAST)
    same_checkpoint(whole / "checkpoints" / BEST, parts / "checkpoints" / BEST)
    assert (whole / "steps.csv").read_bytes() == (parts / "steps.csv").read_bytes()
    rows = [list(csv.DictReader((f / "history.csv").open())) for f in (whole, parts)]
    for row in (*rows[0], *rows[1]):
        del row["seconds"]
    assert rows[0] == rows[1] and len(rows[0]) == 2
    metrics = [json.loads((f / "metrics.json").read_text()) for f in (whole, parts)]
    for found in metrics:
        assert found.pop("train/seconds") > 0 and found.pop("train/images_per_second") > 0
    assert metrics[0] == metrics[1] and "test/mse" in metrics[0]
