"""`task=evaluate` through the command line, on digits and on made images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA

import aecore
from aecore.cli import main
from aecore.data.classes import renumbered
from aecore.data.split import Split
from aecore.training.setup import build_data

TINY = ["logger=none", "trainer.max_epochs=1", "trainer.threads=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE on digits, measured with noise too; not to be changed."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    words = ["model=vae", "latent.dim=3", "evaluate.noise=gaussian", "evaluate.metrics=[activity]"]
    figures = ["figures=[curves,code_noise]", "figures.code_noise.images=1"]
    assert main([*words, *TINY, *figures, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a file of images that is gone by now; others are beside where it lay."""
    folder = tmp_path_factory.mktemp("arrays")
    draws = np.random.default_rng(0)
    np.savez(folder / "own.npz", x_train=draws.random((60, 5, 4)), x_test=draws.random((9, 5, 4)))
    np.savez(folder / "other.npz", x=draws.random((7, 5, 4)))
    data = ["dataset=arrays", f"dataset.path={folder}/own.npz", "dataset.batch_size=30"]
    words = ["model=linear_ae", "latent.dim=3", "figures=none", *data]
    assert main([*words, *TINY, f"hydra.run.dir={folder}/run"]) == 0
    return folder


def evaluated(run: Path, out: Path, *overrides: str) -> dict[str, float]:
    """What `task=evaluate` writes into metrics.json."""
    given = [f"run={run}", "task=evaluate", "trainer.threads=1", f"out={out}", *overrides]
    assert main(given) == 0
    metrics: dict[str, float] = json.loads((out / "metrics.json").read_text())
    return metrics


class TestTheRunsOwnImages:
    def test_the_test_split_again_bit_for_bit(
        self, run: Path, capsys: pytest.CaptureFixture
    ) -> None:
        assert main([f"run={run}", "task=evaluate", "trainer.threads=1"]) == 0
        (again,) = (run / "evaluate").iterdir()
        once, twice = (json.loads((f / "metrics.json").read_text()) for f in (run, again))
        assert twice == {key: once[key] for key in once if not key.startswith("val/")}
        drawn = {file.name: file.read_bytes() for file in (run / "figures").iterdir()}
        assert drawn == {file.name: file.read_bytes() for file in (again / "figures").iterdir()}
        assert len(drawn) == 2
        printed = capsys.readouterr().out
        assert "360 test images of digits, as they are and with noise" in printed
        assert "test_noisy/mse" in printed and str(again / "metrics.json") in printed

    def test_another_split(self, run: Path, tmp_path: Path) -> None:
        metrics = evaluated(run, tmp_path, "split=val", "noise=none", "figures=none")
        assert metrics.keys() == {
            f"val/{name}" for name in (
                "mse", "mean_image_mse", "ssim", "elbo", "kl", "loss", "reconstruction", "psnr",
                "activity/code",
                "activity/code_mean", "activity/hidden_inactive", "activity/dead_units",
            )
        }  # fmt: skip
        ae = aecore.load(run, device="cpu")
        assert ae.run is not None
        val = build_data(ae.run.config).val
        assert val is not None
        error = (ae.reconstruct(val.pixels()) - val.pixels()).square().mean()
        assert metrics["val/mse"] == pytest.approx(float(error), abs=1e-7)
        assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]

    def test_with_a_noise(self, run: Path, tmp_path: Path) -> None:
        metrics = evaluated(run, tmp_path, "noise=gaussian", "noise.std=0.1", "figures=none")
        assert metrics["test_noisy/input_mse"] == pytest.approx(0.01, rel=0.02)
        own = json.loads((run / "metrics.json").read_text())
        assert metrics["test/mse"] == own["test/mse"]
        assert metrics["test_noisy/mse"] != own["test_noisy/mse"]


class TestOtherImages:
    def test_a_folder_without_labels(
        self, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
        (tmp_path / "images").mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / f"images/{i}.png")
        given = ["dataset=image_folder", f"dataset.root={tmp_path}/images", "figures=strip"]
        metrics = evaluated(run, tmp_path / "out", *given, "evaluate.metrics=[probe,activity]")
        assert "evaluate.metrics.probe left out: the images have no labels" in caplog.text
        assert {name.partition("/")[0] for name in metrics} == {
            "image_folder", "image_folder_noisy"
        }  # fmt: skip
        ae = aecore.load(run, device="cpu")
        error = np.square(ae.reconstruct(images[:, None]) - images[:, None] / 255).mean()
        assert metrics["image_folder/mse"] == pytest.approx(error, abs=1e-7)
        assert "image_folder/activity/dead_units" in metrics
        assert (tmp_path / "out" / "figures" / "strip.png").is_file()

    def test_yardsticks_know_what_was_trained_on(self, table: Path, tmp_path: Path) -> None:
        other = f"dataset.path={table}/other.npz"
        metrics = evaluated(table / "run", tmp_path, other, "evaluate.metrics=[pca]")
        with np.load(table / "own.npz") as own, np.load(table / "other.npz") as others:
            x, unknown = own["x_train"].reshape(60, 20), others["x"].reshape(7, 20)
        ae = aecore.load(table / "run", device="cpu")
        assert ae.run is not None
        training = build_data(ae.run.config).train.pixels().flatten(1).numpy()
        assert len(training) == 54 and np.isin(training, x.astype(np.float32)).all()
        pca = PCA(3).fit(training)
        floor = np.square(pca.inverse_transform(pca.transform(unknown)) - unknown).mean()
        assert metrics["arrays/pca_mse"] == pytest.approx(floor, rel=1e-4)

    def test_nothing_else_of_the_run_need_be_there(self, table: Path, tmp_path: Path) -> None:
        own = table / "own.npz"
        own.rename(table / "away.npz")
        try:
            other = ["split=all", f"dataset.path={table}/other.npz"]
            metrics = evaluated(table / "run", tmp_path, *other)
        finally:
            (table / "away.npz").rename(own)
        assert "arrays_all/mse" in metrics, "the split that was named"

    def test_labels_of_other_classes_are_no_truth(
        self, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("cat", "dog"):
            (tmp_path / "images" / name).mkdir(parents=True)
            Image.new("L", (8, 8), 99).save(tmp_path / f"images/{name}/1.png")
        given = ["dataset=image_folder", f"dataset.root={tmp_path}/images", "figures=none"]
        evaluated(run, tmp_path / "out", *given, "evaluate.metrics=[probe]")
        assert "probe left out: the images have other classes" in caplog.text


def test_classes_by_their_names() -> None:
    split = Split(torch.zeros(3, 1, 2, 2), torch.tensor([1, 0, 1]), None, ("dog", "owl"))
    numbered = renumbered(split, ("cat", "dog", "fox", "owl"))
    assert numbered is not None and numbered.class_names == ("cat", "dog", "fox", "owl")
    assert numbered.labels is not None and numbered.labels.tolist() == [3, 1, 3]
    assert renumbered(split, ("cat", "dog")) is None


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["split=tset"], "split=tset: must be 'train', 'val', 'test' or 'all'"),
        (["dataset=uniform"], "1x28x28: this model takes grey images, 8 high and 8 wide"),
        (["evaluate.ood=[uniform]"], "evaluate.ood.uniform: its images are"),
        (["evaluate.weights=best"], "run=RUN/checkpoints/best.ckpt"),
        (["noise.p=0.1"], "say which noise it is of: noise=gaussian noise.p=0.1"),
        (["out=RUN"], "holds something, which would be mixed with this"),
        (["dataset=image_folder", "dataset.root=EMPTY"], "no images under"),
    ],
)
def test_is_refused(
    run: Path, tmp_path: Path, overrides: list[str], told: str, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(run.rglob("*"))
    given = [o.replace("RUN", str(run)).replace("EMPTY", str(tmp_path)) for o in overrides]
    assert main([f"run={run}", "task=evaluate", *given]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) <= 3
    assert sorted(run.rglob("*")) == before
