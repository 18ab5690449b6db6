"""The codes of images, with what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import aecore
from aecore.cli import main
from aecore.data.module import ImageData
from aecore.data.sources.arrays import Arrays
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Split
from aecore.training.setup import build_data
from helpers.models import Memory, data_of

TINY = ["logger=none", "figures=none", "trainer.max_epochs=1", "trainer.threads=1"]


class TestOrigins:
    """Which split each image is of, against the splits themselves: no two images are alike."""

    def check(self, data: ImageData) -> None:
        whole, origins = data.whole, np.array(data.origins)
        assert len(origins) == len(whole)
        kinds = {"train": data.train, "val": data.val, "test": data.test}
        for name, split in kinds.items():
            own = torch.from_numpy(np.flatnonzero(origins == name))
            assert torch.equal(
                whole.pixels(own), _empty(whole) if split is None else split.pixels()
            )
        counted = sum(0 if split is None else len(split) for split in kinds.values())
        assert (origins == "unused").sum() == len(whole) - counted

    @pytest.mark.parametrize(
        "changes",
        [
            {"val_size": 5},
            {"val_size": 0.2, "train_size": 11, "test_size": 4, "seed": 3},
            {"val_size": 9, "classes": [1, 3], "batch_size": 4},
        ],
    )
    def test_of_given_splits(self, changes: dict[str, Any]) -> None:
        splits = [Split(numbered(n, at), torch.arange(n) % 5) for n, at in ((30, 0), (8, 30))]
        self.check(data_of(Memory(*splits), **changes))

    @pytest.mark.parametrize("parted", [True, False])
    def test_of_arrays(self, parted: bool, tmp_path: Path) -> None:
        x = numbered(40, 0).numpy()
        keys = {"x_train": x[:31], "x_test": x[31:]} if parted else {"x": x}
        np.savez(tmp_path / "a.npz", **keys)
        source = Arrays(path=str(tmp_path / "a.npz"), test_fraction=0.25)
        self.check(data_of(source, val_size=6, train_size=20))

    @pytest.mark.parametrize("parted", [True, False])
    def test_of_a_folder_with_a_broken_file(self, parted: bool, tmp_path: Path) -> None:
        for n in range(30):
            part = ("test" if n % 3 == 0 else "train") if parted else f"{n % 4}"
            file = tmp_path / part / f"{n}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((4, 4), 8 * n, np.uint8)).save(file)
        file.write_bytes(b"no image")
        source = ImageFolder(
            root=str(tmp_path), image_size=4, channels=1, skip_broken=True, test_fraction=0.3
        )
        self.check(data_of(source, val_size=5))


def numbered(n: int, first: int) -> Tensor:
    """Images (n, 1, 2, 2), no two of which are alike."""
    return torch.arange(first, first + n).div(100).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def _empty(split: Split) -> Tensor:
    return torch.empty(0, *split.image_shape)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small trained runs; not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    words = {
        "vae": ["model=vae", "latent.dim=4", "dataset.train_size=600", "dataset.classes=[2,7]"],
        "vq": ["model=vq_vae", "dataset.train_size=128"],
    }
    for name, given in words.items():
        assert main([*TINY, *given, f"hydra.run.dir={root / name}"]) == 0
    return {name: root / name for name in words}


def encoded(run: Path, out: Path, *overrides: str) -> dict[str, np.ndarray]:
    """What codes.npz holds, read without pickle."""
    assert main([f"run={run}", "task=encode", *overrides, f"out={out}"]) == 0
    with np.load(out / "codes.npz", allow_pickle=False) as found:
        return dict(found)


def test_all_images_of_the_run(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = encoded(runs["vae"], tmp_path, "logger=none")
    told = capsys.readouterr().out
    n = len(found["ids"])
    assert f"{n} images of digits encoded, codes ({n}, 4)" in told and "projector" not in told
    ae = aecore.load(runs["vae"])
    assert ae.run is not None
    data = build_data(ae.run.config)
    assert found["ids"].tolist() == [str(i) for i in range(n)]
    assert np.array_equal(found["labels"], data.whole.labels.numpy())  # type: ignore[union-attr]
    assert set(found["labels"].tolist()) == {2, 7} and found["class_names"][7] == "7"
    assert found["codes"].dtype == np.float32
    for name in ("train", "test"):
        pixels = getattr(data, name).pixels().numpy()
        np.testing.assert_allclose(found["codes"][found["splits"] == name], ae.encode(pixels),
                                   rtol=0, atol=1e-5)  # fmt: skip
    assert found["splits"].tolist() == data.origins and "unused" in data.origins
    assert Image.open(tmp_path / "codes.png").size > (400, 400)
    assert not (tmp_path / "tensorboard").exists()


def test_draws_and_noise(runs: dict[str, Path], tmp_path: Path) -> None:
    test = ["split=test", "logger=none"]
    means = encoded(runs["vae"], tmp_path / "means", *test)
    drawn = encoded(runs["vae"], tmp_path / "drawn", *test, "encode.sample=true")
    noisy = encoded(runs["vae"], tmp_path / "noisy", *test, "noise=gaussian")
    assert set(means["splits"].tolist()) == {"test"}
    ae = aecore.load(runs["vae"])
    assert ae.run is not None
    x = build_data(ae.run.config).test.pixels()
    with torch.no_grad():
        posterior = ae.model.encode(x).posterior
    assert posterior is not None
    apart = (torch.from_numpy(drawn["codes"]) - posterior.mean) / posterior.variance.sqrt()
    assert 0.85 < float(apart.std()) < 1.15
    assert np.abs(noisy["codes"] - means["codes"]).mean() > 1e-4


def test_code_words(runs: dict[str, Path], tmp_path: Path) -> None:
    found = encoded(runs["vq"], tmp_path, "split=test", "logger=none")
    ae = aecore.load(runs["vq"])
    assert found["codes"].shape[1:] == ae.code_shape and found["indices"].dtype == np.int64
    assert found["indices"].shape == (len(found["ids"]), *ae.code_shape[1:])
    book = ae.model.latent.codebook.vectors.detach().numpy()  # type: ignore[union-attr]
    assert np.array_equal(np.moveaxis(found["codes"], 1, -1), book[found["indices"]])


def test_the_projector(runs: dict[str, Path], tmp_path: Path) -> None:
    found = encoded(runs["vae"], tmp_path, "split=test", "encode.points=20")
    root = tmp_path / "tensorboard"
    (folder,) = root.glob("*/code")
    config = (root / "projector_config.pbtxt").read_text()
    assert all(f"{folder.parent.name}/code/{n}" in config for n in ("metadata.tsv", "sprite.png"))
    names = (folder / "metadata.tsv").read_text().split()
    shown = np.loadtxt(folder / "tensors.tsv", delimiter="\t", dtype=np.float32)
    near = np.abs(shown[:, None] - found["codes"]).max(2)
    assert shown.shape == (20, 4) and near.min(1).max() < 1e-5
    assert names == [str(label) for label in found["labels"][near.argmin(1)]]
    assert sorted(names) == ["2"] * 10 + ["7"] * 10


def test_other_data_have_no_splits(runs: dict[str, Path], tmp_path: Path) -> None:
    for n in range(3):
        Image.fromarray(np.full((8, 8), 80 * n, np.uint8)).save(tmp_path / f"picture {n}.png")
    given = ["dataset=image_folder", f"dataset.root={tmp_path}", "logger=none"]
    found = encoded(runs["vae"], tmp_path / "codes", *given)
    assert found.keys() == {"ids", "codes"}
    assert found["ids"].tolist() == [f"picture {n}.png" for n in range(3)]


@pytest.mark.parametrize(
    ("run", "override", "told"),
    [
        ("vq", "encode.sample=true", "encode.sample=true: this model's codes are not drawn"),
        ("vae", "encode.points=0", "encode.points=0: must be greater than or equal to 1"),
        ("vae", "split=tst", "split=tst: must be 'train', 'val', 'test' or 'all'"),
    ],
)
def test_is_refused(
    runs: dict[str, Path],
    run: str,
    override: str,
    told: str,
    refused: Callable[..., None],
) -> None:
    refused(told, f"run={runs[run]}", "task=encode", override)
