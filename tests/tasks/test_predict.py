"""predict.py of an export: image files to scores, reconstructions and codes without aecore."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import aecore
from aecore.cli import main
from aecore.data.images.decode import Recipe, decode
from aecore.tasks.exporting import predict
from aecore.tasks.exporting.inference import preprocessing, state_text, why_no_program
from helpers.models import model

BLOCKED = ("torch", "pytorch_lightning", "lightning", "hydra", "omegaconf", "aecore", "pydantic")
# runs a program as `python PROGRAM ...` does, but with some packages out of reach
ALONE = f"""
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocked())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
RULE = {"size": [8, 6], "channels": 3, "crop": None, "white": None, "binarise": False}


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model was trained on drawn files of two folders, exported, and its images scored."""
    folder = tmp_path_factory.mktemp("predict")
    draws = np.random.default_rng(0)
    for i in range(60):
        pixels = draws.integers(0, 256, (9 + i % 3, 7 + i % 4, 3), np.uint8)
        path = folder / "images" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    data = ["dataset=image_folder", "dataset.root=images", "dataset.image_size=[8,6]"]
    tiny = ["logger=none", "figures=none", "trainer.max_epochs=2", "trainer.threads=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AECORE_DATA_DIR", str(folder / "data"))
        assert main(["model=ae", "latent.dim=4", *data, *tiny, "hydra.run.dir=run"]) == 0
        settings = ["export.formats=onnx", "export.threshold_quantile=0.6"]
        assert main(["run=run", "task=export", *settings, "out=out"]) == 0
        assert main(["run=run", "task=score", "split=all", "score.quantile=0.6", "out=scored"]) == 0
    return folder


def test_answers_as_the_run_without_its_packages(folder: Path, tmp_path: Path) -> None:
    for name in ("predict.py", "config.json", "autoencoder.onnx", "encoder.onnx"):
        shutil.copy(folder / "out" / name, tmp_path)
    argv = ["predict.py", folder / "images", "--scores", "scores.csv", "--codes", "codes.npy"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *argv, "--reconstructions", "made"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    rows, wanted = rows_of(tmp_path / "scores.csv"), rows_of(folder / "scored" / "scores.csv")
    prefix = f"{folder / 'images'}/"
    assert [name.removeprefix(prefix) for name in rows] == sorted(
        wanted, key=lambda n: n.split("/")
    )
    for name, row in rows.items():
        same = wanted[name.removeprefix(prefix)]
        assert float(row["score"]) == pytest.approx(float(same["score"]), rel=1e-4)
        assert row["anomalous"] == same["anomalous"]
    metrics = json.loads((folder / "scored" / "metrics.json").read_text())
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["score"]["threshold"] == pytest.approx(metrics["threshold"], rel=1e-6)
    assert f"{metrics['anomalous']:.0f} of 60 images are anomalous" in done.stderr
    ae = aecore.load(folder / "run", device="cpu")
    pixels = np.stack([decode(Path(name), Recipe((8, 6), 3)) for name in rows])
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), ae.encode(pixels), atol=1e-5)
    for name, image in zip(rows, ae.reconstruct(pixels), strict=True):
        with Image.open(tmp_path / "made" / name.removeprefix(prefix)) as made:
            levels = np.asarray(made).transpose(2, 0, 1)
        np.testing.assert_allclose(levels, image.clip(0, 1) * 255, atol=0.51)


def test_the_settings_are_those_of_the_run(folder: Path) -> None:
    settings = json.loads((folder / "out" / "config.json").read_text())
    assert settings["run"] == {"epoch": 2, "of_epochs": 2, "weights": "last", "finished": True}
    assert settings["class_names"] == ["a", "b"]
    rule = settings["preprocessing"]
    assert {key: rule[key] for key in RULE} == RULE and rule["range"] == [0, 1]
    assert settings["score"]["formula"].startswith("mean squared error per pixel")
    page = (folder / "out" / "README.md").read_text()
    assert "epoch 2 of 2, last weights, run finished" in page
    assert f"threshold {settings['score']['threshold']:.5g}, the 0.6 quantile of the run's" in page
    assert "python predict.py IMAGES... --scores scores.csv" in page
    package = Path(predict.__file__).read_bytes()
    assert (folder / "out" / "predict.py").read_bytes() == package


def test_the_largest_error_smoothed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores and threshold of predict.py are those of `task=score score.by=peak`."""
    monkeypatch.chdir(folder)
    peak = ["score_by=peak", "score_smooth=0.7", "formats=onnx", "threshold_quantile=0.6"]
    settings = [f"export.{text}" for text in peak]
    assert main(["run=run", "task=export", *settings, f"out={tmp_path}/out"]) == 0
    score = ["score.by=peak", "score.smooth=0.7", "score.quantile=0.6", "split=all"]
    assert main(["run=run", "task=score", *score, f"out={tmp_path}/scored"]) == 0
    program = ["-c", ALONE, str(tmp_path / "out" / "predict.py"), "images", "--scores"]
    subprocess.run([sys.executable, "-I", *program, tmp_path / "peaks.csv"], check=True)
    rows, wanted = rows_of(tmp_path / "peaks.csv"), rows_of(tmp_path / "scored" / "scores.csv")
    assert len(rows) == len(wanted) == 60
    for name, row in rows.items():
        same = wanted[name.removeprefix("images/")]
        assert float(row["score"]) == pytest.approx(float(same["score"]), rel=1e-4)
        assert row["anomalous"] == same["anomalous"]
    rule = json.loads((tmp_path / "out" / "config.json").read_text())["score"]
    assert (rule["by"], rule["smooth"]) == ("peak", 0.7)
    formula = "largest squared error per pixel of the reconstruction, on [0, 1] smoothed by 0.7"
    assert rule["formula"].startswith(formula)
    assert formula in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["export.score_smooth=1"], "export.score_smooth=1.0: smooths the errors of"),
        (
            ["export.score_smooth=2", "export.score_by=peak"],
            "export.score_smooth=2.0: too much for images of 8x6 pixels\n"
            "  use export.score_smooth=1 or less",
        ),
        (["export.score_by=elbo"], "export.score_by=elbo: must be 'error' or 'peak'"),
    ],
)
def test_scores_that_cannot_be_exported(
    overrides: list[str], problem: str, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert main(["run=run", "task=export", *overrides, f"out={tmp_path}/out"]) == 2
    assert problem in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_black_and_white_of_files_are_the_limits_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for predict.py, for tasks, resized or not, and for arrays of 8 bits in Python."""
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (60, 8, 6), np.uint8)
    levels[0, 0, :2] = 0, 255
    np.savez("decibels.npz", x_train=levels / 255 * 80 - 80, x_test=levels[:9] / 255 * 80 - 80)
    for n, image in enumerate(levels[:9]):
        Path("files").mkdir(exist_ok=True)
        Image.fromarray(image).save(f"files/{n}.png")
        Path("large").mkdir(exist_ok=True)
        Image.fromarray(image.repeat(3, 0).repeat(3, 1)).save(f"large/{n}.png")
    np.save("bytes.npy", levels[:9])
    data = ["dataset=arrays", "dataset.path=decibels.npz", "dataset.range=standardised"]
    tiny = ["logger=none", "figures=none", "trainer.threads=1", "dataset.val_size=0"]
    assert main(["model=pca", "latent.dim=3", *data, *tiny, "hydra.run.dir=run"]) == 0

    def found(out: str, *overrides: str) -> list[float]:
        assert main(["run=run", "task=score", "score.threshold=0.1", f"out={out}", *overrides]) == 0
        rows = rows_of(tmp_path / out / "scores.csv")
        return [float(rows[name]["score"]) for name in sorted(rows)]

    wanted = found("own")
    files = ["dataset=image_folder", "dataset.root=files", "dataset.image_size=[8,6]"]
    assert found("a", *files) == pytest.approx(wanted, rel=1e-4)
    for way in ("true", "false"):
        arrays = ["dataset=arrays", "dataset.path=bytes.npy", f"dataset.in_memory={way}"]
        assert found(f"b_{way}", *arrays) == pytest.approx(wanted, rel=1e-4)
    assert main(["run=run", "task=export", "export.formats=onnx", "out=out"]) == 0
    program = ["-I", "out/predict.py", "files", "--scores", "predicted.csv"]
    subprocess.run([sys.executable, *program], check=True)
    predicted = [float(row["score"]) for row in rows_of(tmp_path / "predicted.csv").values()]
    assert predicted == pytest.approx(wanted, rel=1e-4)
    ae = aecore.load("run", device="cpu")
    assert ae.score(levels[:9]) / 80**2 == pytest.approx(wanted, rel=1e-4)
    large = [files[0], "dataset.root=large", "dataset.image_size=[24,18]", "resize=true"]
    smaller = found("c", *large)
    assert main(["run=run", "task=evaluate", *large, "figures=none", "out=d"]) == 0
    metrics = json.loads((tmp_path / "d" / "metrics.json").read_text())
    assert metrics["image_folder/mse"] == pytest.approx(np.mean(smaller), rel=0.01)


def test_no_threshold_where_the_images_are_gone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    shutil.copytree("images", tmp_path / "others")
    Path("images").rename("elsewhere")
    try:
        data = ["dataset=image_folder", f"dataset.root={tmp_path}/others", "resize=true"]
        argv = ["run=run", "task=export", "export.formats=safetensors", f"out={tmp_path}/out"]
        assert main([*argv, *data]) == 0
    finally:
        Path("elsewhere").rename("images")
    printed = capsys.readouterr()
    assert "config.json has no threshold: dataset.root=" in printed.err
    assert "predict.py         left out: it needs autoencoder.onnx" in printed.out
    text = (tmp_path / "out" / "config.json").read_text()
    score = json.loads(text)["score"]
    assert score["threshold"] is None and "could not be read" in score["note"]
    assert str(folder) not in text
    assert "no threshold: the images of the" in (tmp_path / "out" / "README.md").read_text()
    assert not (tmp_path / "out" / "predict.py").exists()


@pytest.mark.parametrize(
    ("changes", "dataset", "files", "reason"),
    [
        ({"image_shape": (1, 1, 5)}, {}, ["autoencoder.onnx"], "rows of a table"),
        ({"image_shape": (2, 4, 4)}, {}, ["autoencoder.onnx"], "takes 2 channels"),
        ({"classes": 3}, {}, ["autoencoder.onnx"], "class-conditional"),
        ({}, {"binarise": "sample"}, ["autoencoder.onnx"], "at random"),
        ({}, {}, ["autoencoder.pt2"], "needs autoencoder.onnx"),
        ({}, {"binarise": "threshold"}, ["autoencoder.onnx"], None),
    ],
)
def test_where_it_does_not_apply(
    changes: dict[str, Any], dataset: dict[str, Any], files: list[str], reason: str | None
) -> None:
    answer = why_no_program(model(**changes), dataset, files)
    assert answer is None if reason is None else answer is not None and reason in answer


def test_white_is_that_of_files() -> None:
    small = model()
    of_files = preprocessing(small, {"image_size": 4, "white": 4095, "crop": 3})
    assert of_files is not None and (of_files["white"], of_files["crop"]) == (4095, 3)
    of_arrays = preprocessing(small, {"white": 16, "binarise": "threshold"})
    assert of_arrays is not None and of_arrays["white"] is None and of_arrays["binarise"]
    assert preprocessing(model(image_shape=(1, 1, 5)), {}) is None


def test_the_state_in_words() -> None:
    state = {"epoch": 7, "of_epochs": 10, "weights": "best", "finished": False}
    assert state_text(state) == "epoch 7 of 10, best weights, run not finished"
    unknown = {"epoch": None, "of_epochs": 10, "weights": None, "finished": None}
    assert state_text(unknown) == "epoch not recorded"
