"""Data outside [0, 1] and data that float32 is too coarse for, through whole runs."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

import aecore
from aecore.cli import main
from aecore.data.split import Split, to_float
from aecore.data.statistics import statistics_of
from aecore.runs.open import open_run
from aecore.training.setup import build_data
from helpers.models import gaussian, gen, images, model

SMALL = [
    "model=ae", "dataset=arrays", "dataset.path=data.npz", "dataset.range=standardised",
    "network=mlp", "network.hidden=[32]", "latent.dim=8", "trainer.max_epochs=20",
    "dataset.val_size=0.2", "hydra.run.dir=run", "dataset.batch_size=32", "optimizer.lr=0.003",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stripes(n: int, seed: int) -> np.ndarray:
    """Images (n, 16, 16) in [0, 1] with few degrees of freedom."""
    rng = np.random.default_rng(seed)
    at = np.arange(16) / 16
    waves = np.sin(
        2 * np.pi * (rng.random((n, 1, 1)) + at[:, None] * rng.integers(1, 3, (n, 1, 1)))
    )
    return np.broadcast_to((waves * rng.random((n, 1, 1)) + 1) / 2, (n, 16, 16)).astype("f4")


def decibels(n: int, seed: int) -> np.ndarray:
    return stripes(n, seed) * 80 - 80


def number(path: Path) -> int:
    return int(path.stem)


def metrics() -> dict[str, float]:
    return json.loads(Path("run/metrics.json").read_text())  # type: ignore[no-any-return]


def test_a_spectrogram_is_measured_over_its_own_range(capsys: pytest.CaptureFixture[str]) -> None:
    train, test = decibels(300, 0), decibels(50, 1)
    np.savez("data.npz", x_train=train, x_test=test)
    assert main([*SMALL, "figures=[reconstructions]"]) == 0
    out = capsys.readouterr().out
    ae = aecore.load("run")
    low, high = ae.model.limits.tolist()
    assert f"pixels lie in [{low:.6g}, {high:.6g}]; metrics and figures scale" in out
    guess = ae.reconstruct(test)[:, 0]
    assert guess.min() < -20, "Python sees decibels"
    unit, unit_guess = (np.clip((x - low) / (high - low), 0, 1) for x in (test, guess))
    found = metrics()
    mse = float((((guess - test) / (high - low)) ** 2).mean())
    assert found["test/mse"] == pytest.approx(mse, rel=1e-4)
    assert found["test/psnr"] == pytest.approx(-10 * math.log10(mse), rel=1e-4)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(unit.astype("f8"), unit_guess.astype("f8"), strict=True)
    similar = [structural_similarity(a, b, data_range=1.0, **options) for a, b in pairs]
    assert found["test/ssim"] == pytest.approx(np.mean(similar), abs=1e-4)
    assert found["test/mse"] < 0.5 * unit.var()


def test_the_images_of_tasks_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("data.npz", x_train=decibels(300, 0), x_test=decibels(50, 1))
    assert main([*SMALL, "figures=none"]) == 0
    before = metrics()
    assert main(["run=run", "task=reconstruct", "out=made"]) == 0
    shown = [
        np.asarray(Image.open(p)).astype("f4")
        for p in sorted(Path("made/images").iterdir(), key=number)
    ]
    ae = aecore.load("run")
    low, high = ae.model.limits.tolist()
    guess = (ae.reconstruct(decibels(50, 1))[:, 0] - low) / (high - low)
    expected = np.clip(guess, 0, 1) * 255
    assert np.abs(np.stack(shown) - expected).max() <= 1
    assert np.stack(shown).std() > 30, "neither black nor white"
    assert main(["run=run", "task=score", "out=scored"]) == 0
    val = build_data(open_run("run").config).val
    assert val is not None
    pixels = val.pixels()
    errors = ((ae.reconstruct(pixels) - pixels) / (high - low)).square().flatten(1).mean(1)
    threshold = json.loads(Path("scored/metrics.json").read_text())["threshold"]
    assert threshold == pytest.approx(np.quantile(errors.numpy(), 0.95), rel=1e-3)
    assert main(["run=run", "task=evaluate", "out=again"]) == 0
    again = json.loads(Path("again/metrics.json").read_text())
    assert all(before[key] == again[key] for key in again if key.startswith("test/"))


def test_levels_of_other_images_span_the_range() -> None:
    """Files, arrays, Python and tasks agree on what black and white of 8 bits are."""
    np.savez("data.npz", x_train=decibels(300, 0), x_test=decibels(50, 1))
    ood = ["evaluate.metrics=[ood]", "evaluate.ood=[arrays]"]
    ood += ["evaluate.ood.arrays.path=levels.npy"]
    levels = np.round(stripes(50, 1) * 255).astype("u1")
    np.save("levels.npy", levels)
    assert main([*SMALL, "figures=none", *ood]) == 0
    assert metrics()["test/auroc_arrays"] < 0.9, "the same images, rounded"
    ae = aecore.load("run")
    low, high = ae.model.limits.tolist()
    made = low + levels.astype("f4") / 255 * (high - low)
    np.testing.assert_allclose(ae.score(levels), ae.score(made), rtol=1e-5)
    errors = ((ae.reconstruct(levels)[:, 0] - made) / (high - low)) ** 2
    Path("files").mkdir()
    for n, image in enumerate(levels):
        Image.fromarray(image).save(f"files/{n:02}.png")
    files = ["dataset=image_folder", "dataset.root=files", "dataset.image_size=16"]
    for kind, words in (("npy", ["dataset=arrays", "dataset.path=levels.npy"]), ("png", files)):
        assert main(["run=run", "task=score", *words, f"out={kind}"]) == 0
        with Path(kind, "scores.csv").open() as file:
            scores = [float(row["score"]) for row in csv.DictReader(file)]
        np.testing.assert_allclose(sorted(scores), sorted(errors.mean((1, 2))), rtol=1e-3)
        assert main(["run=run", "task=evaluate", "figures=none", *words, f"out={kind}_e"]) == 0
        found = json.loads(Path(f"{kind}_e/metrics.json").read_text())
        assert found[f"{words[0][8:]}/mse"] == pytest.approx(errors.mean(), rel=1e-3)


def test_the_readme_of_an_export_names_the_range() -> None:
    np.savez("data.npz", x_train=decibels(300, 0), x_test=decibels(50, 1))
    assert main([*SMALL, "figures=none"]) == 0
    assert main(["run=run", "task=export", "out=made", "export.formats=[onnx]"]) == 0
    low, high = aecore.load("run").model.limits.tolist()
    page = Path("made/README.md").read_text()
    assert f"float32, pixels in [{low:g}, {high:g}], the range of the training pixels |" in page
    assert "on [0, 1], to which the range of the training pixels is scaled" in page
    assert f"images = {low} + images * {high - low}" in page


def test_standardised_images_within_the_unit_range_keep_it() -> None:
    np.savez("data.npz", x_train=0.5 * stripes(300, 0), x_test=0.5 * stripes(50, 1))
    assert main([*SMALL, "figures=none"]) == 0
    ae = aecore.load("run")
    assert ae.model.limits is None
    error = ae.reconstruct(0.5 * stripes(50, 1))[:, 0] - 0.5 * stripes(50, 1)
    assert metrics()["test/mse"] == pytest.approx(float((error**2).mean()), rel=1e-4)


def test_a_view_in_the_unit_range_is_the_same_model() -> None:
    x = images(20, 1, 4, 4) * 60 - 50
    statistics = statistics_of(Split(x))
    whole = model(latent=gaussian(3), **statistics._asdict()).eval()
    low, high = statistics.limits.tolist() if statistics.limits is not None else (0.0, 1.0)
    assert (low, high) == (x.min(), x.max())
    view = whole.in_unit_range()
    unit = (x - low) / (high - low)
    torch.testing.assert_close(view.encode(unit).mean, whole.encode(x).mean)
    scaled = view.reconstruct(unit) * (high - low) + low
    torch.testing.assert_close(scaled, whole.reconstruct(x), rtol=1e-4, atol=1e-4)
    assert view.in_unit_range().reconstruct(unit).equal(view.reconstruct(unit))
    assert whole.limits is not None and whole.limits.tolist() == [low, high]


def test_milliseconds_keep_their_differences() -> None:
    """1,000 timestamps within a minute: as float32 only a few different ones survive."""
    start, n = 1_767_000_000_000, 1000
    stamps = start + np.sort(np.random.default_rng(0).choice(60_000, n, replace=False))
    table = np.stack([stamps, np.random.default_rng(1).normal(size=n)], axis=1)
    assert len(np.unique(table[:, 0].astype("f4"))) < 30
    np.savez("data.npz", x_train=table[:800], x_test=table[800:])
    assert main([*SMALL, "latent.dim=2", "optimizer.lr=0.01", "figures=none"]) == 0
    ae = aecore.load("run")
    guess = ae.reconstruct(table)
    assert guess.dtype == np.float64
    error = np.abs(guess.reshape(n, 2)[:, 0] - stamps)
    assert np.median(error) < 0.1 * stamps.std()
    codes = ae.encode(table)
    assert codes.dtype == np.float32 and len(np.unique(codes, axis=0)) > 990


@pytest.mark.parametrize("table", [True, False])
def test_statistics_are_those_of_float64(table: bool) -> None:
    shape = (50, 1, 1, 3) if table else (50, 3, 4, 4)
    x = torch.rand(shape, dtype=torch.float64, generator=gen(2)) * 1e-3 + 1e6
    split = Split(to_float(x))
    assert split.images.dtype == torch.float64
    shift, scale, limits = statistics_of(split)
    dims = (0,) if table else (0, 2, 3)
    torch.testing.assert_close(shift.flatten(), x.mean(dims).flatten(), rtol=1e-12, atol=0)
    std = x.std(dims, correction=0)
    torch.testing.assert_close(scale.flatten(), std.flatten(), rtol=1e-6, atol=0)
    whole = model(image_shape=shape[1:], shift=shift, scale=scale, limits=limits).eval()
    inner = whole.normalise(x)
    assert inner.dtype == torch.float32
    expected = (x - x.mean(dims, keepdim=True)) / x.std(dims, correction=0, keepdim=True)
    torch.testing.assert_close(inner, expected.float(), rtol=1e-4, atol=1e-4)
    assert whole.corrupt(x, gen(0)).dtype == whole.reconstruct(x).dtype == torch.float64


def test_what_float32_can_hold_stays_float32() -> None:
    x = torch.rand((50, 1, 1, 3), dtype=torch.float64, generator=gen(3)) * 1e6
    assert to_float(x).dtype == torch.float32
    constant = torch.full((50, 1, 1, 1), 1e9 + 1, dtype=torch.float64)
    assert to_float(constant).dtype == torch.float32
