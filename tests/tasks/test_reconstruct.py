"""`task=reconstruct` through the command line, and the files it makes of names from anywhere."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import aecore
from aecore.cli import main
from aecore.model.any_size import AnySize
from aecore.runs.open import open_run
from aecore.tasks.files import png_names
from aecore.training.setup import build_data

TINY = ["logger=none", "figures=none", "trainer.max_epochs=1", "trainer.threads=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on digits, measured with noise too; not to be changed."""
    folder = tmp_path_factory.mktemp("reconstructed") / "run"
    words = ["model=denoising", "latent.dim=6", "evaluate.noise=gaussian"]
    assert main([*words, *TINY, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def spatial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of a fully convolutional model on digits; not to be changed."""
    folder = tmp_path_factory.mktemp("spatial") / "run"
    words = ["model=denoising", "network=conv", "network.channels=[4,8]", "latent=spatial"]
    assert main([*words, *TINY, f"hydra.run.dir={folder}"]) == 0
    return folder


def reconstructed(run: Path, out: Path, *overrides: str) -> list[dict[str, str]]:
    """The rows that `task=reconstruct` writes into errors.csv."""
    given = [f"run={run}", "task=reconstruct", "trainer.threads=1", f"out={out}", *overrides]
    assert main(given) == 0
    with (out / "errors.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def mean(rows: list[dict[str, str]], column: str) -> float:
    return float(np.mean([float(row[column]) for row in rows]))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


class TestTheRunsOwnImages:
    def test_the_errors_are_those_of_the_run(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        rows = reconstructed(run, tmp_path)
        wanted = json.loads((run / "metrics.json").read_text())["test/mse"]
        assert len(rows) == 360
        assert mean(rows, "mse") == pytest.approx(wanted, abs=1e-6)
        ae = aecore.load(run, device="cpu")
        assert ae.run is not None
        test = build_data(ae.run.config).test
        made = ae.reconstruct(test.pixels().numpy())
        errors = np.square(made - test.pixels().numpy()).mean((1, 2, 3))
        assert float(errors.mean()) == pytest.approx(wanted, abs=1e-6)
        assert [float(row["mse"]) for row in rows] == pytest.approx(errors.tolist(), abs=1e-6)
        assert test.labels is not None
        assert [int(row["label"]) for row in rows] == test.labels.tolist()
        assert [row["name"] for row in rows] == [str(i) for i in range(360)]
        for i in (0, 359):
            shown = (made[i, 0].clip(0, 1) * 255).round()
            assert (np.abs(pixels(tmp_path / rows[i]["file"]) - shown) <= 1).all()
        assert len(list((tmp_path / "images").iterdir())) == 360
        assert "images (360 PNG)" in capsys.readouterr().out
        assert pixels(tmp_path / "comparison.png").std() > 10

    def test_noisy_images_are_denoised(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        rows = reconstructed(run, tmp_path, "noise=gaussian", "reconstruct.images=false")
        metrics = json.loads((run / "metrics.json").read_text())
        assert mean(rows, "mse") == pytest.approx(metrics["test_noisy/mse"], abs=1e-7)
        assert mean(rows, "input_mse") == pytest.approx(metrics["test_noisy/input_mse"], abs=1e-7)
        assert not (tmp_path / "images").exists() and "file" not in rows[0]
        assert "360 test images of digits denoised, mse" in capsys.readouterr().out


class TestOtherImages:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Digits in sub-folders, two of which differ in their endings alone."""
        images = (load_digits().images[:5] * 255 / 16).astype(np.uint8)
        root = tmp_path / "images"
        for name, image in zip(
            ("3/a.png", "3/a.bmp", "3/deep er/b.tif", "5/c.PNG", "5/d.x.pgm"), images, strict=True
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / name)
        return root

    def test_files_keep_their_names(self, run: Path, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        rows = reconstructed(run, out, "dataset=image_folder", f"dataset.root={folder}")
        assert {row["name"]: row["file"] for row in rows} == {
            "3/a.bmp": "images/3/a.bmp.png",
            "3/a.png": "images/3/a.png",
            "3/deep er/b.tif": "images/3/deep er/b.png",
            "5/c.PNG": "images/5/c.png",
            "5/d.x.pgm": "images/5/d.x.png",
        }
        assert {row["label"] for row in rows} == {"3", "5"}
        assert all((out / row["file"]).is_file() for row in rows)

    def test_a_conditional_model_is_told_classes_by_name(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        run = tmp_path / "run"
        words = ["model=cvae", "network.hidden=[8]", "latent.dim=2"]
        assert main([*words, *TINY, f"hydra.run.dir={run}"]) == 0
        given = ["dataset=image_folder", f"dataset.root={folder}"]
        rows = reconstructed(run, tmp_path / "out", *given)
        ae = aecore.load(run, device="cpu")
        x = np.stack([pixels(folder / row["name"])[None] for row in rows])
        error = np.square(ae.reconstruct(x, [int(r["label"]) for r in rows]) - x / 255)
        assert mean(rows, "mse") == pytest.approx(error.mean(), abs=1e-7)
        (folder / "5").rename(folder / "banana")
        assert main([f"run={run}", "task=reconstruct", *given]) == 2
        assert "these images are of other classes\n  known: 0, 1, 2" in capsys.readouterr().err
        (folder / "banana" / "c.PNG").rename(folder / "c.png")
        assert main([f"run={run}", "task=reconstruct", *given]) == 2
        assert "these images have no labels" in capsys.readouterr().err
        assert not (run / "reconstruct").exists()

    def test_rows_of_a_table(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        draws = np.random.default_rng(0)
        np.savez(tmp_path / "own.npz", x=draws.normal(9, 2, (40, 5)), y=np.arange(40) % 2)
        data = ["dataset=arrays", f"dataset.path={tmp_path}/own.npz", "dataset.range=standardised"]
        words = ["model=pca", "latent.dim=2", "dataset.batch_size=9", *data]
        run, out = tmp_path / "run", tmp_path / "out"
        assert main([*words, *TINY, f"hydra.run.dir={run}"]) == 0
        small = ["reconstruct.columns=2", "reconstruct.rows=1"]
        rows = reconstructed(run, out, "split=all", *small)
        told = capsys.readouterr().out
        assert "40 rows of arrays reconstructed" in told and " per standardised feature\n" in told
        scale = open_run(run).model().scale.numpy().reshape(5)
        with np.load(tmp_path / "own.npz") as own, np.load(out / "reconstructions.npz") as found:
            assert found["y"].tolist() == own["y"].tolist()
            error = np.square((found["x"] - own["x"]) / scale).mean(1)
        assert [float(row["mse"]) for row in rows] == pytest.approx(error.tolist(), rel=1e-4)
        assert {path.name for path in out.iterdir()} == {
            "comparison.png", "errors.csv", "reconstructions.npz"
        }  # fmt: skip
        assert main([f"run={run}", "task=score", f"out={tmp_path}/scored"]) == 0
        assert re.search(r"the run's \d+ \w+ rows", capsys.readouterr().out)
        assert main([f"run={run}", "task=reconstruct", "dataset=digits"]) == 2
        assert "1x8x8, this model takes 1x1x5" in capsys.readouterr().err


class TestOwnSizes:
    """A fully convolutional model takes images of any size."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Grey images of three sizes in a mixed order, one of the size of the training."""
        root, draws = tmp_path / "images", np.random.default_rng(0)
        sizes = {"b/1": (20, 9), "a/2": (8, 8), "b/3": (11, 30), "a/4": (20, 9), "a/1": (3, 2)}
        for name, size in sizes.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            image = draws.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(image).save(root / f"{name}.png")
        return root

    def test_each_image_keeps_its_size_and_its_name(
        self, spatial: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        out = tmp_path / "out"
        rows = reconstructed(spatial, out, "dataset=image_folder", f"dataset.root={folder}")
        output = capsys.readouterr().out
        assert output.startswith("images of 4 sizes, each in its own; the model was trained on 8x8")
        names = ["a/1.png", "a/2.png", "a/4.png", "b/1.png", "b/3.png"]
        assert [row["name"] for row in rows] == names
        assert [row["label"] for row in rows] == ["a", "a", "a", "b", "b"]
        model = AnySize(open_run(spatial).model())
        for row in rows:
            x = torch.from_numpy(pixels(folder / row["name"]) / np.float32(255))[None, None]
            with torch.no_grad():
                made = model.reconstruct(x)
            error = float((made - x).square().mean())
            assert float(row["mse"]) == pytest.approx(error, rel=1e-4)
            shown = pixels(out / row["file"])
            assert shown.shape == pixels(folder / row["name"]).shape
            assert np.abs(shown - made[0, 0].clip(0, 1).numpy() * 255).max() <= 1
        alone = aecore.load(spatial, device="cpu").reconstruct(pixels(folder / names[1])[None])
        assert float(rows[1]["mse"]) == pytest.approx(
            np.square(alone[0, 0] - pixels(folder / names[1]) / 255).mean(), rel=1e-4
        )

    def test_noise_goes_on_from_size_to_size(
        self, spatial: Path, folder: Path, tmp_path: Path
    ) -> None:
        given = ["dataset=image_folder", f"dataset.root={folder}", "noise=gaussian"]
        rows = reconstructed(spatial, tmp_path / "out", *given, "noise.std=0.5")
        assert mean(rows, "input_mse") == pytest.approx(0.25, rel=0.4)
        of_one_size = [row["input_mse"] for row in rows if row["name"] in ("a/4.png", "b/1.png")]
        assert len({*of_one_size}) == 2

    def test_an_array_of_another_size(self, spatial: Path, tmp_path: Path) -> None:
        x = np.random.default_rng(0).random((3, 7, 21), np.float32)
        np.save(tmp_path / "x.npy", x)
        given = ["dataset=arrays", f"dataset.path={tmp_path}/x.npy"]
        rows = reconstructed(spatial, tmp_path / "out", *given)
        assert [pixels(tmp_path / "out" / row["file"]).shape for row in rows] == [(7, 21)] * 3

    def test_what_is_typed_has_its_effect(
        self, spatial: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        given = ["dataset=image_folder", f"dataset.root={folder}"]
        rows = reconstructed(spatial, tmp_path / "a", *given, "dataset.image_size=[12,10]")
        assert {pixels(tmp_path / "a" / row["file"]).shape for row in rows} == {(12, 10)}
        capsys.readouterr()
        rows = reconstructed(spatial, tmp_path / "b", *given, "resize=true")
        assert {pixels(tmp_path / "b" / row["file"]).shape for row in rows} == {(8, 8)}
        first = capsys.readouterr().out.splitlines()[0]
        assert first == "images that are not 8 high and 8 wide are resized and cropped"

    def test_colour_and_broken_files_are_named(
        self, spatial: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        Image.new("RGB", (17, 5), (10, 200, 30)).save(folder / "a/colour.png")
        given = ["dataset=image_folder", f"dataset.root={folder}"]
        rows = reconstructed(spatial, tmp_path / "a", *given)
        assert len(rows) == 6 and "colour images are read as grey (1)" in capsys.readouterr().err
        (folder / "a/0.png").write_bytes(b"no image")
        assert main([f"run={spatial}", "task=reconstruct", *given]) == 2
        assert "cannot be decoded" in capsys.readouterr().err
        rows = reconstructed(spatial, tmp_path / "b", *given, "dataset.skip_broken=true")
        assert len(rows) == 6 and "left out" in capsys.readouterr().err

    def test_other_models_and_tasks_say_how(
        self, run: Path, spatial: Path, folder: Path, capsys: pytest.CaptureFixture
    ) -> None:
        given = ["dataset=image_folder", f"dataset.root={folder}"]
        assert main([f"run={run}", "task=reconstruct", *given]) == 2
        error = capsys.readouterr().err
        assert "1.png is grey, 3 high and 2 wide: this model takes grey images, 8 high" in error
        assert "resize=true resizes and crops them; a model of network=conv or resnet" in error
        for task in ("score", "encode"):
            assert main([f"run={spatial}", f"task={task}", *given]) == 2
            assert "resize=true resizes and crops them\n" in capsys.readouterr().err
        assert main([f"run={spatial}", "task=score", *given, "dataset.image_size=8"]) == 0
        assert "are resized and cropped" in capsys.readouterr().out


NAMES = [
    "../x.png", "../../x.jpg", "/etc/x.png", "C:\\x\\y.png", "..\\x.png", "", ".", "..", "a/../..",
    "a.png", "A.PNG", "a.jpg", "a.jpeg", "a.png", "a.jpg.png", "a-1.png", "b.jpg", "b.png/c.jpg",
    "b.png", "nul\0.png", "x\ny.png", f"{'ü' * 300}.png", f"{'ü' * 300}.jpg", "d/" * 500 + "e.png",
    "17", "17.5", " ", "a b/c.v2.tif",
]  # fmt: skip


class TestNames:
    def test_none_leaves_the_folder_and_none_is_taken_twice(self, tmp_path: Path) -> None:
        found = png_names(NAMES)
        assert len({name.casefold() for name in found}) == len(NAMES)
        for name in found:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert path.resolve().is_relative_to(tmp_path.resolve())
            with path.open("x") as file:  # neither a folder nor there already
                file.write(name)
        assert all(PurePosixPath(name).suffix == ".png" for name in found)

    def test_what_is_harmless_stays(self) -> None:
        kept = ["17", "17.5", "a b/c.v2.tif", "d.png", "e.JPG", "f.png", "f.gif", "f.gif"]
        assert png_names(kept) == [
            "17.png", "17.5.png", "a b/c.v2.png", "d.png", "e.png", "f.png", "f.gif.png",
            "f.gif-1.png",
        ]  # fmt: skip

    def test_many_of_one_name_take_no_time(self) -> None:
        assert png_names(["x"] * 20_000)[-1] == "x-19999.png"
