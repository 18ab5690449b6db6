"""Each source reads what was written, one split at a time, and says what is wrong in a line."""

from __future__ import annotations

import hashlib
import logging
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
from torchvision import datasets

from aecore.data import Arrays, CelebA, Digits, ImageFolder, Source, Torchvision
from aecore.data.split import fixed_part
from aecore.errors import UserError


def message(source: Source, which: Any, data_dir: Path = Path("nowhere")) -> str:
    """What the user reads when `source` cannot load: three lines at most."""
    with pytest.raises(UserError) as raised:
        source.load(which, data_dir)
    text = str(raised.value)
    assert 1 <= len(text.splitlines()) <= 3
    return text


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


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


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


class Bomb:
    """Unpickled, it makes a folder: proof that somebody unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


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


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)


def folder(root: object, **changes: Any) -> ImageFolder:
    values: dict[str, Any] = {
        "image_size": 4,
        "channels": "auto",
        "skip_broken": False,
        "test_fraction": 0.25,
    }
    return ImageFolder(root=None if root is None else str(root), **(values | changes))


def grey(level: int, height: int = 4, width: int = 4) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


class TestImageFolder:
    @pytest.mark.parametrize("name", ["images", "a=b [c] {d}", "größe 画像", "'quoted' $x,y"])
    def test_pixels_names_and_order(self, tmp_path: Path, name: str) -> None:
        root = tmp_path / name
        for i in range(8):
            save(root / ("deep/er" if i % 2 else "") / f"{i}.{('png', 'bmp')[i % 2]}", grey(30 * i))
        both = [folder(root).load(which, Path()) for which in ("train", "test")]
        assert [len(split) for split in both] == [6, 2]
        level: dict[str, list[int]] = {}
        for split in both:
            assert split.image_shape == (1, 4, 4) and split.labels is None
            assert split.names is not None and list(split.names) == sorted(split.names)
            level |= dict(zip(split.names, split.images.flatten(1).tolist(), strict=True))
        assert level == {
            (f"deep/er/{i}.bmp" if i % 2 else f"{i}.png"): [30 * i] * 16 for i in range(8)
        }

    def test_modes(self, tmp_path: Path) -> None:
        grey_16 = np.full((4, 4), 65535, np.uint16)
        grey_16[:, :2] = 128 * 257
        Image.fromarray(grey_16).save(tmp_path / "0.png")
        colour = np.zeros((4, 4, 3), np.uint8)
        colour[..., 0] = 204  # in the palette that Pillow uses
        save(tmp_path / "1.png", colour, "P")
        alpha = np.zeros((4, 4, 4), np.uint8)
        alpha[:, :2] = (10, 20, 30, 255)  # the other half is transparent
        save(tmp_path / "2.png", alpha)
        save(tmp_path / "3.gif", grey(77))
        save(tmp_path / "4.tif", grey(255), "1")
        save(tmp_path / "5.tif", colour, "CMYK")
        save(tmp_path / "6.JPG", grey(90))
        Image.fromarray(grey_16.astype(">u2")).save(tmp_path / "7.tiff")
        split = folder(tmp_path, test_fraction=0.0).load("train", Path())
        assert split.image_shape == (3, 4, 4)
        at = split.images.permute(0, 2, 3, 1)
        assert (at[[0, 7], :, :2] == 128).all() and (at[[0, 7], :, 2:] == 255).all()
        assert (at[1] == torch.tensor([204, 0, 0])).all()
        assert (at[2, :, :2] == torch.tensor([10, 20, 30])).all() and (at[2, :, 2:] == 255).all()
        assert (at[3] == 77).all() and (at[4] == 255).all() and (at[6] == 90).all()
        assert (at[5] == torch.tensor([204, 0, 0])).all()
        one = folder(tmp_path, test_fraction=0.0, channels=1).load("train", Path())
        assert one.image_shape == (1, 4, 4)

    @pytest.mark.parametrize(("count", "channels"), [(3, 1), (2, 3)])
    def test_auto_channels_agree_between_the_splits(
        self, tmp_path: Path, count: int, channels: int
    ) -> None:
        for i in range(count):
            save(tmp_path / "train" / f"{i}.png", grey(i))
        save(tmp_path / "test" / "x.png", grey(0), "L" if channels == 1 else "RGB")
        for which in ("train", "test"):
            split = folder(tmp_path).load(which, Path())
            assert split.image_shape == (channels, 4, 4)

    def test_resize_keeps_the_aspect_and_cuts_the_centre(self, tmp_path: Path) -> None:
        wide = np.zeros((8, 24), np.uint8)
        wide[:, 5:19] = 255  # the centre and what the filter reaches
        save(tmp_path / "w.png", wide)
        tall = grey(9, 100, 10)
        save(tmp_path / "t.png", tall)
        split = folder(tmp_path, test_fraction=0.0).load("train", Path())
        assert split.names == ("t.png", "w.png")
        assert (split.images[0] == 9).all() and (split.images[1] == 255).all()
        shape = folder(tmp_path, test_fraction=0.0, image_size=[3, 6]).load("train", Path())
        assert shape.image_shape == (1, 3, 6)

    def test_resize_is_antialiased(self, tmp_path: Path) -> None:
        board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
        save(tmp_path / "board.png", board)
        split = folder(tmp_path, test_fraction=0.0).load("train", Path())
        assert (split.images.float() - 127.5).abs().max() < 4

    def test_class_folders(self, tmp_path: Path) -> None:
        for i, name in enumerate(["cat/0.png", "cat/a/1.png", "ant/2.png", "bee/3.png"]):
            save(tmp_path / name, grey(i))
        split = folder(tmp_path, test_fraction=0.0).load("train", Path())
        assert split.class_names == ("ant", "bee", "cat")
        assert split.labels is not None and split.labels.tolist() == [0, 1, 2, 2]
        assert split.images[:, 0, 0, 0].tolist() == [2, 3, 0, 1]
        save(tmp_path / "loose.png", grey(0))
        assert folder(tmp_path, test_fraction=0.0).load("train", Path()).labels is None

    def test_given_splits(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for i, name in enumerate(["train/b/0.png", "train/c/1.png", "test/a/2.png", "val/b/3.png"]):
            save(tmp_path / name, grey(i))
        with caplog.at_level(logging.WARNING, "aecore"):
            train = folder(tmp_path).load("train", Path())
        assert [r.getMessage().split(": ")[1] for r in caplog.records] == [
            "only train/ and test/ are used, not val/"
        ]
        test = folder(tmp_path).load("test", Path())
        assert train.images[:, 0, 0, 0].tolist() == [0, 1] and train.names == ("b/0.png", "c/1.png")
        assert test.images[:, 0, 0, 0].tolist() == [2]
        assert train.class_names == test.class_names == ("a", "b", "c")
        assert train.labels is not None and train.labels.tolist() == [1, 2]
        assert test.labels is not None and test.labels.tolist() == [0]

    def test_hidden_files_links_and_circles(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        save(root / "0.png", grey(0))
        save(tmp_path / "other" / "1.png", grey(1))
        (root / "._0.png").write_bytes(b"resource fork")
        (root / "notes.txt").write_text("no image")
        (root / "link").symlink_to(tmp_path / "other")
        (tmp_path / "other" / "circle").symlink_to(root)
        split = folder(root, test_fraction=0.0).load("train", Path())
        assert split.names == ("0.png", "link/1.png")

    def test_broken_files(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
        for name in ("a.png", "b.jpg", "c.png", "d.webp"):
            save(tmp_path / name, noise)
        (tmp_path / "a.png").write_bytes(b"")
        for name in ("b.jpg", "d.webp"):
            path = tmp_path / name
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        text = message(folder(tmp_path, test_fraction=0.0), "train")
        assert text.startswith(f"{tmp_path / 'a.png'} cannot be decoded")
        assert "3 of 4" in text and "dataset.skip_broken=true" in text
        with caplog.at_level(logging.WARNING, "aecore"):
            split = folder(tmp_path, test_fraction=0.0, skip_broken=True).load("train", Path())
        assert split.names == ("c.png",) and split.image_shape == (3, 4, 4)
        assert len(caplog.records) == 1 and "3 of 4" in caplog.text and "a.png" in caplog.text
        (tmp_path / "c.png").write_bytes(b"no")
        assert "4 of 4" in message(folder(tmp_path, test_fraction=0.0, skip_broken=True), "train")

    def test_pixels_without_a_range_are_refused(self, tmp_path: Path) -> None:
        Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "f.tif")
        assert "f.tif" in message(folder(tmp_path, test_fraction=0.0), "train")
        (tmp_path / "f.tif").unlink()
        Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "i.tif")
        assert "16 bits" in message(folder(tmp_path, test_fraction=0.0), "train")

    @pytest.mark.parametrize("times", [1.5, 2.5])
    def test_decompression_bombs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: float
    ) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10_000 / times))
        save(tmp_path / "bomb.png", grey(0, 100, 100))
        text = message(folder(tmp_path, test_fraction=0.0), "train")
        assert "bomb.png" in text and "decompression bomb" in text

    def test_wrong_roots(self, tmp_path: Path) -> None:
        assert "dataset.root=null" in message(folder(None), "train")
        assert f"dataset.root={tmp_path}/no: there is no" in message(
            folder(f"{tmp_path}/no"), "test"
        )
        (tmp_path / "file.npz").touch()
        assert "is a file" in message(folder(tmp_path / "file.npz"), "train")
        assert "no images under" in message(folder(tmp_path), "train")
        (tmp_path / "train").mkdir()
        save(tmp_path / "test" / "0.png", grey(0))
        assert f"no images under {tmp_path / 'train'}" in message(folder(tmp_path), "train")

    @pytest.mark.parametrize(("fraction", "which"), [(0.0, "test"), (1.0, "train")])
    def test_nothing_left(self, tmp_path: Path, fraction: float, which: str) -> None:
        save(tmp_path / "0.png", grey(0))
        text = message(folder(tmp_path, test_fraction=fraction), which)
        assert f"dataset.test_fraction={fraction}" in text

    @pytest.mark.parametrize(
        "change",
        [
            {"image_size": 0},
            {"image_size": [4]},
            {"image_size": [4, 4, 4]},
            {"channels": 2},
            {"test_fraction": 1.1},
            {"skip_broken": "yes"},
        ],
    )
    def test_wrong_arguments(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match=next(iter(change))):
            folder(".", **change)


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

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ({"x": np.array([[1, None]])}, "allow_pickle"),
            ({"x": np.array([["a"]])}, "real numbers"),
            ({"x": np.ones((2, 2), complex)}, "complex128"),
            ({"x": np.ones(3)}, "(3,)"),
            ({"x": np.ones((2, 5, 5, 5))}, "(2, 5, 5, 5)"),
            ({"x": np.ones((2, 1, 1, 1, 1))}, "(2, 1, 1, 1, 1)"),
            ({"x": np.ones((0, 4))}, "empty"),
            ({"x": np.ones((4, 0))}, "empty"),
            ({"x": np.array([[1.0, 2], [np.nan, np.inf]])}, "[x]: 2 values are NaN or infinite"),
            ({"x": np.array([[1.0], [2], [1e300]])}, "first in row 2"),
            ({"z": np.ones((2, 2))}, "has the keys z;"),
            ({"x": np.ones((2, 2)), "images": np.ones((2, 2))}, "images, x;"),
            ({"x": np.ones((2, 2)), "y": np.ones(3, int)}, "[y]: has the shape (3,)"),
            ({"x": np.ones((2, 2)), "y": np.ones(2)}, "labels must be integers"),
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
            assert f"dataset.path={path} cannot be read" in message(arrays(path), "train")
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
