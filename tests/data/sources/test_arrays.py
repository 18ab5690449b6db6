"""Arrays in files: what is read, and what is said of those that cannot be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aecore.data.sources.arrays import Arrays
from helpers.pickles import Bomb
from helpers.sources import message


def arrays(path: object, test_fraction: float = 0.25) -> Arrays:
    return Arrays(path=None if path is None else str(path), test_fraction=test_fraction)


class TestArrays:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((6, 5), (1, 1, 5)),
            ((6, 8, 7), (1, 8, 7)),
            ((6, 8, 7, 3), (3, 8, 7)),
            ((6, 3, 8, 7), (3, 8, 7)),
            ((6, 1, 8, 7), (1, 8, 7)),
            ((6, 4, 8, 3), (3, 4, 8)),
        ],
    )
    @pytest.mark.parametrize("dtype", ["uint8", "float64", "float16", "bool", "int32"])
    def test_shapes_and_numbers(
        self, tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...], dtype: str
    ) -> None:
        array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
        np.save(tmp_path / "x.npy", array)
        split = arrays(tmp_path / "x.npy", 0.0).load("train", Path())
        assert split.image_shape == expected
        assert split.images.dtype == (torch.uint8 if dtype == "uint8" else torch.float32)
        if len(shape) == 4 and shape[-1] == 3:
            array = array.transpose(0, 3, 1, 2)
        assert np.array_equal(split.images.numpy(), array.reshape(6, *expected))

    @pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("x", "labels")])
    def test_one_array_is_split(self, tmp_path: Path, keys: tuple[str, str]) -> None:
        x = np.arange(8, dtype=np.float32)
        parts: dict[str, Any] = {keys[0]: x[:, None], keys[1]: np.arange(8)}
        np.savez(tmp_path / "d.npz", **parts)
        train, test = (arrays(tmp_path / "d.npz").load(w, Path()) for w in ("train", "test"))
        assert (len(train), len(test)) == (6, 2)
        assert {*train.images.flatten().tolist(), *test.images.flatten().tolist()} == set(range(8))
        assert test.labels is not None and torch.equal(test.labels.float(), test.images.flatten())

    def test_given_splits(self, tmp_path: Path) -> None:
        parts: dict[str, Any] = {
            "x_train": np.ones((3, 2)),
            "x_test": np.zeros((2, 2)),
            "y_test": [[4], [5]],
        }
        np.savez(tmp_path / "d.npz", **parts)
        train, test = (arrays(tmp_path / "d.npz").load(w, Path()) for w in ("train", "test"))
        assert torch.equal(train.images, torch.ones(3, 1, 1, 2)) and train.labels is None
        assert torch.equal(test.images, torch.zeros(2, 1, 1, 2))
        assert test.labels is not None and test.labels.tolist() == [4, 5]

    def test_medmnist(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Its own keys and labels (N, 1); its validation images are not used."""
        random = np.random.default_rng(0)
        parts: dict[str, Any] = {}
        for which, n in (("train", 6), ("val", 3), ("test", 4)):
            parts[f"{which}_images"] = random.integers(0, 256, (n, 28, 28, 3), dtype=np.uint8)
            parts[f"{which}_labels"] = random.integers(0, 9, (n, 1), dtype=np.uint8)
        np.savez(tmp_path / "pathmnist.npz", **parts)
        source = arrays(tmp_path / "pathmnist.npz")
        for which in ("train", "test"):
            split = source.load(which, Path())  # type: ignore[arg-type]
            expected = parts[f"{which}_images"].transpose(0, 3, 1, 2)
            assert np.array_equal(split.images.numpy(), expected) and split.labels is not None
            assert np.array_equal(split.labels.numpy(), parts[f"{which}_labels"][:, 0])
        assert (
            "not used: val_images, val_labels; validation images are drawn from train_images"
            in (caplog.text)
        )
        whole, places = source.whole(Path())
        assert len(whole) == 10 and places.tolist() == [6, 7, 8, 9]
        for which in ("train", "test"):  # as of ChestMNIST
            parts[f"{which}_labels"] = np.ones((len(parts[f"{which}_labels"]), 14), np.uint8)
        np.savez(tmp_path / "pathmnist.npz", **parts)
        assert source.load("test", Path()).labels is None
        assert "[test_labels]: not used: 14 labels an image" in caplog.text

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ({"x": np.array([[1, None]])}, "allow_pickle"),
            ({"x": np.array([["a"]])}, "real numbers"),
            ({"x": np.ones((2, 2), complex)}, "complex128"),
            ({"x": np.ones(3)}, "(3,)\n  one series? cut it into rows: numpy."),
            ({"x": np.ones((2, 1, 1, 1, 1))}, "(2, 1, 1, 1, 1)"),
            ({"x": np.ones((0, 4))}, "empty"),
            ({"x": np.ones((4, 0))}, "empty"),
            ({"x": np.array([[1.0, 2], [np.nan, np.inf]])}, "[x]: 2 values are NaN or infinite"),
            ({"x": np.array([[1.0], [2], [1e300]])}, "first in row 2"),
            ({"z": np.ones((2, 2))}, "has the keys z;"),
            ({"x": np.ones((2, 2)), "images": np.ones((2, 2))}, "images, x;"),
            ({"x": np.ones((2, 2)), "y": np.ones(3, int)}, "[y]: has the shape (3,)"),
            ({"x": np.ones((2, 2)), "y": np.ones(2)}, "labels must be integers"),
            ({"x": np.ones((2, 2)), "y": np.array(["cat", "dog"])}, "training needs no labels"),
            ({"x": np.ones((2, 2)), "y": np.eye(2, dtype=int)}, "training needs no labels"),
        ],
    )
    def test_wrong_content(self, tmp_path: Path, content: dict[str, Any], says: str) -> None:
        np.savez(tmp_path / "d.npz", **content)
        text = message(arrays(tmp_path / "d.npz", 0.0), "train")
        assert says in text and str(tmp_path / "d.npz") in text

    def test_wrong_files(self, tmp_path: Path) -> None:
        assert "dataset.path=null" in message(arrays(None), "train")
        assert "there is no such file" in message(arrays(tmp_path / "no.npz"), "train")
        (tmp_path / "a.csv").write_text("1,2")
        assert "must be a .npz or .npy" in message(arrays(tmp_path / "a.csv"), "train")
        path = tmp_path / "a.npz"
        np.savez_compressed(path, x=np.random.default_rng(0).random((50, 50)))
        whole = path.read_bytes()
        for content in (b"", b"junk", whole[:-50], whole[:300] + b"!!!!" + whole[304:]):
            path.write_bytes(content)
            assert f"dataset.path={path}: it cannot be read" in message(arrays(path), "train")
        path = tmp_path / "a.npy"
        path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        message(arrays(path), "train")
        assert not (tmp_path / "exploded").exists()
        np.save(path, np.ones((3, 3)))
        huge = path.read_bytes().replace(b"(3, 3), ", b"(10**9,)"[:8])
        path.write_bytes(huge)
        assert "cannot be read" in message(arrays(path), "train")

    @pytest.mark.parametrize(("fraction", "which"), [(0.0, "test"), (1.0, "train")])
    def test_nothing_left(self, tmp_path: Path, fraction: float, which: str) -> None:
        np.save(tmp_path / "x.npy", np.ones((3, 3)))
        text = message(arrays(tmp_path / "x.npy", fraction), which)
        assert f"dataset.test_fraction={fraction}" in text
