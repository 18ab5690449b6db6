"""Anomaly scores of tables: no column counts more because its numbers are large."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import aecore
from aecore.cli import main

RUN = [
    "model=ae", "dataset=arrays", "dataset.path=train.npz", "dataset.range=standardised",
    "network=mlp", "network.hidden=[16]", "latent.dim=2", "trainer.max_epochs=15",
    "dataset.val_size=0.2", "hydra.run.dir=run", "dataset.batch_size=32", "figures=none",
    "logger=none",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six columns of two factors, and a seventh of noise a thousand times as large."""
    monkeypatch.chdir(tmp_path)
    np.savez("train.npz", x_train=rows(600, 0), x_test=rows(100, 1))


def rows(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, 2)) @ np.random.default_rng(7).normal(size=(2, 6))
    return np.column_stack([mixed + 0.05 * rng.normal(size=(n, 6)), 1000 * rng.normal(size=n)])


def anomalies(n: int) -> np.ndarray:
    """Rows whose small columns do not go together."""
    broken = rows(n, 2)
    for column in range(6):
        broken[:, column] = np.random.default_rng(column).permutation(broken[:, column])
    return broken


def scores(file: Path, column: str) -> np.ndarray:
    with file.open(newline="") as opened:
        found = {int(row["name"]): float(row[column]) for row in csv.DictReader(opened)}
    return np.array([found[n] for n in range(len(found))])


def test_errors_are_those_of_standardised_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(RUN) == 0
    x = np.concatenate([rows(100, 1), anomalies(100)])
    np.savez("mixed.npz", x=x)
    ae = aecore.load("run")
    guess = ae.reconstruct(x).reshape(200, 7)
    scale = ae.model.scale.numpy().reshape(7)
    raw, standardised = (guess - x) ** 2, ((guess - x) / scale) ** 2
    truth = np.repeat([0, 1], 100)
    capsys.readouterr()
    for units, expected in (("model", standardised.mean(1)), ("data", raw.mean(1))):
        other = ["run=run", "dataset=arrays", "dataset.path=mixed.npz", f"out=s_{units}"]
        assert main([*other, "task=score", f"score.units={units}"]) == 0
        said = "per standardised feature" if units == "model" else "per feature"
        assert f"scored by the squared error {said}\n" in capsys.readouterr().out
        found = scores(Path(f"s_{units}/scores.csv"), "score")
        np.testing.assert_allclose(found, expected, rtol=1e-3)
        np.testing.assert_allclose(ae.score(x, units=units), expected, rtol=1e-3)
        again = [*other[:-1], f"out=r_{units}", "task=reconstruct", f"reconstruct.units={units}"]
        assert main(again) == 0
        found = scores(Path(f"r_{units}/errors.csv"), "mse")
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    small, large = (roc_auc_score(truth, errors.mean(1)) for errors in (standardised, raw))
    assert small > 0.8 > large + 0.2
    default = ["run=run", "dataset=arrays", "dataset.path=mixed.npz", "out=d", "task=score"]
    assert main(default) == 0
    found = scores(Path("d/scores.csv"), "score")
    np.testing.assert_allclose(found, standardised.mean(1), rtol=1e-3)


def test_ood_of_tables() -> None:
    np.savez("train.npz", x_train=rows(600, 0), x_test=rows(100, 1))
    np.savez("other.npz", x=np.concatenate([anomalies(100)] * 5))
    known = ["evaluate.metrics=[ood]", "evaluate.ood=[arrays]"]
    known += ["evaluate.ood.arrays.path=other.npz"]
    assert main([*RUN, *known]) == 0
    found = json.loads(Path("run/metrics.json").read_text())
    assert found["test/auroc_arrays"] > 0.8
    raw = ["run=run", "task=evaluate", "evaluate.metrics.ood.units=data", "out=raw"]
    assert main(raw) == 0
    assert json.loads(Path("raw/metrics.json").read_text())["test/auroc_arrays"] < 0.7
