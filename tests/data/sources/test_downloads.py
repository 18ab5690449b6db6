"""The data sets that are known by name: what is read, and what is said when they are damaged."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from scipy.io import savemat
from torchvision import datasets

from aecore.data.sources.celeba import CelebA
from aecore.data.sources.digits import Digits
from aecore.data.sources.torchvision_sets import Emnist, Torchvision
from aecore.data.split import fixed_part
from helpers.datasets import write_idx
from helpers.pickles import Bomb
from helpers.sources import message


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is refused, by a proxy that is not there."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@given(n=st.integers(2, 200), fraction=st.floats(0, 1))
def test_fixed_part_is_a_partition(n: int, fraction: float) -> None:
    train, test = (fixed_part(n, fraction, which) for which in ("train", "test"))
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(n))
    assert abs(len(test) - fraction * n) <= 1
    if 0 < fraction < 1:
        assert len(train) and len(test)


class TestDigits:
    def test_splits(self) -> None:
        train, test = (Digits().load(which, Path()) for which in ("train", "test"))
        assert (len(train), len(test)) == (1437, 360)
        assert train.image_shape == (1, 8, 8)
        assert train.images.dtype == torch.float32
        both = torch.cat([train.images, test.images])
        assert both.min() == 0 and both.max() == 1
        assert (
            len(torch.unique(both.flatten(1), dim=0)) == 1797
        )  # all differ, so no image is in both
        assert train.labels is not None and test.labels is not None
        share = test.labels.bincount() / (test.labels.bincount() + train.labels.bincount())
        assert torch.allclose(share, torch.full((10,), 0.2), atol=0.005)

    def test_the_split_never_changes(self) -> None:
        test = Digits().load("test", Path())
        assert test.labels is not None
        assert test.labels[:12].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]


def write_mnist(root: Path, name: str, stem: str, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n)
    images, labels = random.integers(0, 256, (n, 28, 28)), random.integers(0, 10, n)
    write_idx(root / name / "raw" / f"{stem}-images-idx3-ubyte", images)
    write_idx(root / name / "raw" / f"{stem}-labels-idx1-ubyte", labels)
    return images, labels


class TestMnistLayout:
    @pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
    @pytest.mark.parametrize(("which", "stem"), [("train", "train"), ("test", "t10k")])
    def test_one_split_needs_only_its_own_files(
        self, tmp_path: Path, name: Any, which: Any, stem: str
    ) -> None:
        images, labels = write_mnist(tmp_path, name, stem)
        split = Torchvision(name=name).load(which, tmp_path)
        assert split.images.dtype == torch.uint8
        assert np.array_equal(split.images.numpy(), images[:, None])
        assert split.labels is not None and split.labels.tolist() == labels.tolist()
        assert split.class_names is not None and len(split.class_names) == 10
        assert torch.equal(split.pixels(), split.images.double().div(255).float())

    @pytest.mark.usefixtures("no_network")
    @pytest.mark.parametrize("name", ["MNIST", "CIFAR10"])
    def test_no_data_and_no_network(
        self, tmp_path: Path, name: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_mnist(tmp_path, "MNIST", "t10k")
        text = message(Torchvision(name=name), "train", tmp_path)
        assert str(tmp_path) in text
        assert ("train-images-idx3-ubyte" if name == "MNIST" else "data_batch_1") in text
        for mend in ("AECORE_DATA_DIR", "paths.data_dir", "dataset=digits"):
            assert mend in text
        assert capsys.readouterr().out == ""

    def test_no_data_and_nowhere_to_put_it(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        text = message(Torchvision(name="MNIST"), "test", tmp_path / "file")
        assert "t10k-images-idx3-ubyte is missing" in text

    @pytest.mark.parametrize(
        ("file", "damage"),
        [
            ("images", lambda data: data[:-1]),
            ("images", lambda data: data + b"!"),
            ("images", lambda data: b""),
            ("images", lambda data: b"<html>not found</html>"),
            ("images", lambda data: struct.pack(">4I", 0x803, 0, 28, 28)),
            ("images", lambda data: struct.pack(">4I", 0x803, 1, 2, 3) + bytes(6)),
            ("images", lambda data: struct.pack(">4I", 0x80A03, 1, 28, 28) + data[16:]),
            ("labels", lambda data: data[:9]),
            ("labels", lambda data: struct.pack(">2I", 0x801, 4) + bytes(4)),
            ("labels", lambda data: data[:-1] + b"\x0a"),
        ],
    )
    def test_damaged_files_are_named(
        self, tmp_path: Path, file: str, damage: Callable[[bytes], bytes]
    ) -> None:
        write_mnist(tmp_path, "MNIST", "t10k")
        path = next((tmp_path / "MNIST" / "raw").glob(f"*{file}*"))
        path.write_bytes(damage(path.read_bytes()))
        assert message(Torchvision(name="MNIST"), "test", tmp_path).startswith(f"{path} is damaged")

    def test_unknown_name(self) -> None:
        with pytest.raises(ValidationError, match="FashionMNIST"):
            Torchvision(name="EMNIST")  # type: ignore[arg-type]


class TestCifar10:
    def write(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
        """Six small batches in CIFAR-10's format, with their own checksums. (6, 2, 3072)."""
        folder = root / "cifar-10-batches-py"
        folder.mkdir()
        data = np.random.default_rng(0).integers(0, 256, (6, 2, 3072)).astype(np.uint8)
        names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
        contents: dict[str, Any] = {
            name: {"data": part, "labels": [i, 9]}
            for i, (name, part) in enumerate(zip(names, data, strict=True))
        }
        contents["batches.meta"] = {"label_names": list("abcdefghij")}
        sums = []
        for name, content in contents.items():
            (folder / name).write_bytes(pickle.dumps(content))
            sums.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
        monkeypatch.setattr(datasets.CIFAR10, "train_list", sums[:5])
        monkeypatch.setattr(datasets.CIFAR10, "test_list", sums[5:6])
        meta = {"filename": "batches.meta", "key": "label_names", "md5": sums[6][1]}
        monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
        return data

    def test_round_trip(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = self.write(tmp_path, monkeypatch)
        train = Torchvision(name="CIFAR10").load("train", tmp_path)
        test = Torchvision(name="CIFAR10").load("test", tmp_path)
        assert np.array_equal(train.images.numpy(), data[:5].reshape(10, 3, 32, 32))
        assert np.array_equal(test.images.numpy(), data[5].reshape(2, 3, 32, 32))
        assert train.labels is not None
        assert train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
        assert train.class_names == tuple("abcdefghij")

    @pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
    def test_a_file_with_a_wrong_checksum_is_never_unpickled(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        self.write(tmp_path, monkeypatch)
        path = tmp_path / "cifar-10-batches-py" / name
        path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        text = message(Torchvision(name="CIFAR10"), "train", tmp_path)
        assert str(path) in text and "checksum" in text
        assert not (tmp_path / "exploded").exists()


class TestEmnist:
    """Of the format of MNIST, but every image is stored transposed."""

    def write(self, root: Path, split: str, labels: Any) -> np.ndarray:
        images = np.random.default_rng(3).integers(0, 256, (len(labels), 28, 28))
        for which in ("train", "test"):
            stem = root / "EMNIST" / "raw" / f"emnist-{split}-{which}"
            write_idx(stem.with_name(f"{stem.name}-images-idx3-ubyte"), images.transpose(0, 2, 1))
            write_idx(stem.with_name(f"{stem.name}-labels-idx1-ubyte"), np.array(labels))
        return images

    def test_images_are_upright(self, tmp_path: Path) -> None:
        images = self.write(tmp_path, "balanced", [0, 46, 10])
        split = Emnist(split="balanced").load("test", tmp_path)
        assert (
            np.array_equal(split.images.numpy(), images[:, None]) and split.images.is_contiguous()
        )
        assert split.labels is not None and split.class_names is not None
        assert [split.class_names[n] for n in split.labels] == ["0", "t", "A"]
        assert len(split.class_names) == 47

    def test_letters_are_numbered_from_0(self, tmp_path: Path) -> None:
        self.write(tmp_path, "letters", [1, 26])
        split = Emnist(split="letters").load("train", tmp_path)
        assert split.labels is not None and split.labels.tolist() == [0, 25]
        assert split.class_names == tuple("abcdefghijklmnopqrstuvwxyz")
        self.write(tmp_path, "letters", [0, 26])  # no letter has this number
        assert "it has the label" in message(Emnist(split="letters"), "train", tmp_path)

    @pytest.mark.usefixtures("no_network")
    def test_no_data_and_no_network(self, tmp_path: Path) -> None:
        text = message(Emnist(split="letters"), "train", tmp_path)
        assert "emnist-letters-train-images-idx3-ubyte is missing" in text
        with pytest.raises(ValidationError, match="byclass"):
            Emnist(split="capitals")  # type: ignore[arg-type]


class TestCifar100:
    def write(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
        """Two training and two test images in CIFAR-100's format. (2, 2, 3072)."""
        folder = root / "cifar-100-python"
        folder.mkdir()
        data = np.random.default_rng(0).integers(0, 256, (2, 2, 3072)).astype(np.uint8)
        names = [f"fine {n}" for n in range(100)]
        contents: dict[str, Any] = {
            "train": {"data": data[0], "fine_labels": [99, 0], "coarse_labels": [1, 2]},
            "test": {"data": data[1], "fine_labels": [5, 6], "coarse_labels": [1, 2]},
            "meta": {"fine_label_names": names, "coarse_label_names": ["a", "b"]},
        }
        sums = {}
        for name, content in contents.items():
            (folder / name).write_bytes(pickle.dumps(content))
            sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
        monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", sums["train"]]])
        monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", sums["test"]]])
        meta = {"filename": "meta", "key": "fine_label_names", "md5": sums["meta"]}
        monkeypatch.setattr(datasets.CIFAR100, "meta", meta)
        return data

    def test_round_trip(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = self.write(tmp_path, monkeypatch)
        for which, images, labels in (("train", data[0], [99, 0]), ("test", data[1], [5, 6])):
            split = Torchvision(name="CIFAR100").load(which, tmp_path)  # type: ignore[arg-type]
            assert np.array_equal(split.images.numpy(), images.reshape(2, 3, 32, 32))
            assert split.labels is not None and split.labels.tolist() == labels
            assert split.class_names == tuple(f"fine {n}" for n in range(100))

    def test_a_file_with_a_wrong_checksum_is_never_unpickled(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.write(tmp_path, monkeypatch)
        path = tmp_path / "cifar-100-python" / "test"
        path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        assert "checksum" in message(Torchvision(name="CIFAR100"), "train", tmp_path)
        assert not (tmp_path / "exploded").exists()


class TestSvhn:
    def write(self, root: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> np.ndarray:
        """Three house numbers as MATLAB saves them, 0 with the label 10. (3, 3, 32, 32)."""
        images = np.random.default_rng(1).integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)
        path = root / f"{which}_32x32.mat"
        savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": np.array([[10], [1], [9]])})
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        listed = datasets.SVHN.split_list | {which: ["", path.name, md5]}
        monkeypatch.setattr(datasets.SVHN, "split_list", listed)
        return images

    @pytest.mark.parametrize("which", ["train", "test"])
    def test_one_split_needs_only_its_own_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: Any
    ) -> None:
        images = self.write(tmp_path, monkeypatch, which)
        split = Torchvision(name="SVHN").load(which, tmp_path)
        assert np.array_equal(split.images.numpy(), images) and split.images.is_contiguous()
        assert split.labels is not None and split.labels.tolist() == [0, 1, 9]
        assert split.class_names == tuple("0123456789")

    def test_a_damaged_file_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write(tmp_path, monkeypatch, "test")
        path = tmp_path / "test_32x32.mat"
        path.write_bytes(path.read_bytes()[:-1])
        assert message(Torchvision(name="SVHN"), "test", tmp_path).startswith(f"{path} is damaged")


class TestCelebA:
    def write(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Five faces in CelebA's format: 2 train, 1 valid, 2 test; grey level = number."""
        folder = root / "celeba"
        (folder / "img_align_celeba").mkdir(parents=True)
        names = [f"{i:06}.jpg" for i in range(1, 6)]
        for i, name in enumerate(names):
            pixels = np.full((218, 178, 3), 255, np.uint8)
            pixels[35:183, 15:163] = 40 * i
            Image.fromarray(pixels).save(folder / "img_align_celeba" / name, quality=95)
        tables = {
            "list_attr_celeba.txt": ["5", "Smiling", *(f"{n} 1" for n in names)],
            "identity_CelebA.txt": [f"{n} 7" for n in names],
            "list_bbox_celeba.txt": ["5", "x y", *(f"{n} 1 2" for n in names)],
            "list_landmarks_align_celeba.txt": ["5", "x y", *(f"{n} 1 2" for n in names)],
            "list_eval_partition.txt": [f"{n} {p}" for n, p in zip(names, "00122", strict=True)],
        }
        sums = [("", "", "img_align_celeba.zip")]
        for name, lines in tables.items():
            (folder / name).write_text("\n".join(lines) + "\n")
            sums.append(("", hashlib.md5((folder / name).read_bytes()).hexdigest(), name))
        monkeypatch.setattr(datasets.CelebA, "file_list", sums)
        return folder

    def test_round_trip(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write(tmp_path, monkeypatch)
        for which, levels in (("train", [0, 40]), ("test", [120, 160])):
            split = CelebA(image_size=16, crop=148).load(which, tmp_path)  # type: ignore[arg-type]
            assert split.images.shape == (2, 3, 16, 16) and split.labels is None
            middle = split.images.double().mean((1, 2, 3))
            assert torch.allclose(middle, torch.tensor(levels).double(), atol=2)
        wide = CelebA(image_size=[16, 8], crop=178).load("test", tmp_path)
        assert wide.image_shape == (3, 16, 8)

    def test_errors(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.write(tmp_path, monkeypatch)
        picture = folder / "img_align_celeba" / "000005.jpg"
        picture.write_bytes(picture.read_bytes()[:500])
        text = message(CelebA(image_size=16, crop=148), "test", tmp_path)
        assert str(picture) in text and "1 of 2" in text
        (folder / "identity_CelebA.txt").write_text("<html>quota exceeded</html>")
        text = message(CelebA(image_size=16, crop=148), "train", tmp_path)
        assert "identity_CelebA.txt is damaged" in text

    @pytest.mark.usefixtures("no_network")
    def test_no_data_and_no_network(self, tmp_path: Path) -> None:
        text = message(CelebA(image_size=16, crop=148), "train", tmp_path)
        assert str(tmp_path / "celeba") in text
        for mend in ("gdown", "AECORE_DATA_DIR", "paths.data_dir", "dataset=digits"):
            assert mend in text


PUBLISHED = {"MNIST": (0.13066, 0.30811), "FashionMNIST": (0.28604, 0.35302)}
DATA_DIR = Path(os.environ.get("AECORE_DATA_DIR", "nowhere"))
PRESENT = [n for n in PUBLISHED if (DATA_DIR / n / "raw" / "train-images-idx3-ubyte").is_file()]


def test_real_data_have_the_published_moments() -> None:
    """Where AECORE_DATA_DIR holds the real files; elsewhere there is nothing to compare."""
    for name in PRESENT:
        split = Torchvision(name=name).load("train", DATA_DIR)  # type: ignore[arg-type]
        assert split.images.shape == (60_000, 1, 28, 28)
        std, mean = torch.std_mean(split.pixels())
        assert (round(mean.item(), 5), round(std.item(), 5)) == PUBLISHED[name]
