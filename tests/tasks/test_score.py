"""`task=score` through the command line."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import aecore
from aecore.cli import main
from aecore.data.module import ImageData
from aecore.training.setup import build_data

TINY = ["logger=none", "figures=none", "trainer.max_epochs=1", "trainer.threads=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE on digits; not to be changed."""
    folder = tmp_path_factory.mktemp("scored") / "run"
    assert main(["model=vae", "latent.dim=3", *TINY, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def one_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows the digit 3 alone, and has no validation images; not to be changed."""
    folder = tmp_path_factory.mktemp("one_class") / "run"
    data = ["dataset.classes=[3]", "dataset.batch_size=32", "dataset.val_size=0"]
    words = ["model=linear_ae", "latent.dim=5", "optimizer.lr=0.01", *data, *TINY]
    assert main([*words, "trainer.max_epochs=5", f"hydra.run.dir={folder}"]) == 0
    return folder


def scored(run: Path, out: Path, *overrides: str) -> tuple[list[dict[str, str]], dict[str, float]]:
    """The rows of scores.csv and what stands in metrics.json."""
    given = [f"run={run}", "task=score", "trainer.threads=1", f"out={out}", *overrides]
    assert main(given) == 0
    with (out / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = [float(row["score"]) for row in rows]
    assert values == sorted(values, reverse=True), "highest first"
    metrics = json.loads((out / "metrics.json").read_text())
    anomalous = [value > metrics["threshold"] for value in values]
    assert [row["anomalous"] for row in rows] == [str(is_).lower() for is_ in anomalous]
    assert (metrics["anomalous"], metrics["images"]) == (sum(anomalous), len(rows))
    with Image.open(out / "top_anomalies.png") as image:
        assert np.asarray(image).std() > 10
    return rows, metrics


def known(run: Path) -> tuple[aecore.Trained, ImageData]:
    ae = aecore.load(run, device="cpu")
    assert ae.run is not None
    return ae, build_data(ae.run.config)


class TestScores:
    @pytest.mark.parametrize("by", ["error", "peak", "elbo"])
    def test_are_those_of_the_model(self, run: Path, tmp_path: Path, by: str) -> None:
        rows, metrics = scored(run, tmp_path, f"score.by={by}", "score.quantile=0.9")
        ae, data = known(run)
        test, val = data.test, data.val
        assert test.labels is not None and val is not None
        wanted = ae.score(test.pixels().numpy(), by=by)
        found = {int(row["name"]): float(row["score"]) for row in rows}
        assert [found[i] for i in range(360)] == pytest.approx(wanted.tolist(), rel=1e-6)
        assert {int(row["name"]): int(row["label"]) for row in rows} == dict(
            enumerate(test.labels.tolist())
        )
        good = ae.score(val.pixels().numpy(), by=by).astype(float)
        assert metrics["threshold"] == pytest.approx(np.quantile(good, 0.9), rel=1e-6)
        assert "auroc" not in metrics, "all classes were trained on"

    def test_the_largest_error_smoothed(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        rows, _ = scored(run, tmp_path, "score.by=peak", "score.smooth=0.5")
        ae, data = known(run)
        wanted = ae.score(data.test.pixels().numpy(), by="peak", smooth=0.5)
        found = {int(row["name"]): float(row["score"]) for row in rows}
        assert [found[i] for i in range(360)] == pytest.approx(wanted.tolist(), rel=1e-6)
        assert (
            "the largest squared error per pixel smoothed by 0.5 pixels" in capsys.readouterr().out
        )

    def test_a_threshold_by_hand(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        _, metrics = scored(run, tmp_path, "score.threshold=0.1", "split=val")
        assert metrics["threshold"] == 0.1
        printed = capsys.readouterr().out
        assert "143 validation images of digits, scored by the squared error per pixel" in printed
        share = 100 * metrics["anomalous"] / 143
        assert (
            f"anomalous  {metrics['anomalous']:.0f} of 143 are above it ({share:.3g} %)" in printed
        )

    def test_a_noise_makes_them_anomalous(self, run: Path, tmp_path: Path) -> None:
        rows, noisy = scored(run, tmp_path / "a", "noise=gaussian", "noise.std=0.5")
        clean, plain = scored(run, tmp_path / "b")
        assert noisy["threshold"] == plain["threshold"], "of images without noise"
        by_name = [{row["name"]: float(row["score"]) for row in found} for found in (rows, clean)]
        assert all(by_name[0][name] > by_name[1][name] for name in by_name[1])


class TestOneClass:
    def test_all_classes_are_scored_and_told_apart(
        self, one_class: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        rows, metrics = scored(one_class, tmp_path)
        assert len(rows) == 360
        truth = [row["label"] != "3" for row in rows]
        wanted = roc_auc_score(truth, [float(row["score"]) for row in rows])
        assert metrics["auroc"] == pytest.approx(wanted, abs=1e-6) and wanted > 0.5
        ae, data = known(one_class)
        good = ae.score(data.train.pixels().numpy()).astype(float)
        assert metrics["threshold"] == pytest.approx(np.quantile(good, 0.95), rel=1e-6)
        printed = capsys.readouterr().out
        assert f"the 0.95 quantile of the run's {len(good)} training images" in printed
        found = re.search(r"AUROC +(\S+), 323 images of classes not trained on against 37", printed)
        assert found is not None and float(found.group(1)) == pytest.approx(wanted, abs=1e-4)

    def test_its_own_where_they_are_asked_for(self, one_class: Path, tmp_path: Path) -> None:
        rows, metrics = scored(one_class, tmp_path, "split=test")
        assert {row["label"] for row in rows} == {"3"} and "auroc" not in metrics

    def test_a_folder_with_a_known_class_and_another(self, one_class: Path, tmp_path: Path) -> None:
        digits = load_digits()
        for label, name in ((3, "3"), (0, "zero")):
            (tmp_path / "images" / name).mkdir(parents=True)
            for i in np.flatnonzero(digits.target == label)[:6]:
                image = Image.fromarray((digits.images[i] * 255 / 16).astype(np.uint8))
                image.save(tmp_path / f"images/{name}/{i}.png")
        folder = ["dataset=image_folder", f"dataset.root={tmp_path}/images"]
        rows, metrics = scored(one_class, tmp_path / "out", *folder)
        truth = [row["label"] == "zero" for row in rows]
        assert sum(truth) == 6
        assert metrics["auroc"] == roc_auc_score(truth, [float(row["score"]) for row in rows])
        (tmp_path / "images" / "3").rename(tmp_path / "images" / "nine")
        assert "auroc" not in scored(one_class, tmp_path / "more", *folder)[1], "none is known"


def test_without_the_data_that_it_was_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    draws = np.random.default_rng(0)
    for name in ("own", "other"):
        np.savez(tmp_path / f"{name}.npz", x=draws.random((50, 6, 3)), y=np.arange(50) % 2)
    data = ["dataset=arrays", f"dataset.path={tmp_path}/own.npz", "dataset.batch_size=30"]
    words = ["model=linear_ae", "latent.dim=3", *data, *TINY]
    assert main([*words, f"hydra.run.dir={tmp_path}/run"]) == 0
    (tmp_path / "own.npz").unlink()
    capsys.readouterr()
    given = [f"run={tmp_path}/run", "task=score", f"dataset.path={tmp_path}/other.npz"]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert "own.npz: there is no such file" in error
    assert "score.threshold=NUMBER needs none" in error
    assert not (tmp_path / "run" / "score").exists()
    rows, _ = scored(tmp_path / "run", tmp_path / "out", given[2], "score.threshold=0.05")
    assert len(rows) == 50, "all of data that come without a split"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["score.by=elbo"], "score.by=elbo: this model has no likelihood\n  use score.by=error"),
        (["score.by=kl"], "score.by=kl: must be 'error', 'peak' or 'elbo'"),
        (["score.quantile=1.5"], "score.quantile=1.5: must be less than or equal to 1"),
        (["score.smooth=-1"], "score.smooth=-1: must be greater than or equal to 0"),
        (["score.smooth=3"], "images of 8x8 pixels\n  use score.smooth=2 or less"),
        (["score.quantil=0.5"], "score.quantil: score has no key 'quantil' (did you mean"),
        (["quantile=0.5"], "did you mean score.quantile=0.5?"),
        (["split=val"], "split=val: this run has no validation images"),
    ],
)
def test_is_refused(
    one_class: Path, overrides: list[str], told: str, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(one_class.rglob("*"))
    assert main([f"run={one_class}", "task=score", *overrides]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) <= 3
    assert sorted(one_class.rglob("*")) == before
