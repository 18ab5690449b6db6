"""Folders of images that are kept in a mapped file: the same numbers, and what the cache holds."""

from __future__ import annotations

import json
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aecore.cli import main
from aecore.data.batches import Batches
from aecore.data.images import memory as room
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Split
from aecore.data.statistics import moments
from helpers.commands import FORKED, speak_into
from helpers.sources import message
from helpers.splits import flat, split_of
from helpers.streaming import SIZE, load


def picture(path: Path, seed: int) -> None:
    """A colour image of noise; files of the same size and format have the same length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def pictures(root: Path, count: int = 12) -> Path:
    """A folder of two classes."""
    for i in range(count):
        picture(root / ("ant", "bee")[i % 2] / f"{i:03}.bmp", i)
    return root


def entries(root: Path) -> list[Path]:
    """What the cache holds."""
    return sorted(path for path in (root.parent / "data" / "cache").glob("*") if path.is_dir())


def same(a: Split, b: Split) -> bool:
    known = (a.names, a.class_names, len(a), a.image_shape, a.nbytes)
    if known != (b.names, b.class_names, len(b), b.image_shape, b.nbytes):
        return False
    labels = [None if s.labels is None else s.labels.tolist() for s in (a, b)]
    return labels[0] == labels[1] and torch.equal(a.pixels(), b.pixels())


def mapped(split: Split) -> Split:
    """The same images among others, as a mapped file would hold them."""
    order = torch.randperm(2 * len(split), generator=torch.Generator().manual_seed(0))
    images = torch.zeros(2 * len(split), *split.image_shape, dtype=torch.uint8)
    rows = order[: len(split)]
    images[rows] = split.images
    return Split(images, split.labels, split.names, split.class_names, rows)


class TestSplit:
    @settings(deadline=None)
    @given(n=st.integers(1, 40), data=st.data())
    def test_subsets_are_the_same_images(self, n: int, data: st.DataObject) -> None:
        whole = split_of(n)
        both = [whole, mapped(whole)]
        for _ in range(2):
            places = st.integers(0, len(both[0]) - 1)
            index = torch.tensor(data.draw(st.lists(places, min_size=1, max_size=40)))
            both = [split.subset(index) for split in both]
            assert same(*both)
            one, other = (torch.cat([part.clone() for part in split.parts(7)]) for split in both)
            assert torch.equal(one, other)
            assert torch.equal(
                both[0].pixels(index % len(index)), both[1].pixels(index % len(index))
            )

    def test_a_subset_shares_the_file(self) -> None:
        split = mapped(split_of(30))
        assert split.subset(torch.tensor([4, 2])).images is split.images
        assert split.to("cpu").images is split.images

    def test_batches_and_moments(self) -> None:
        whole = split_of(2500)
        for rank in (0, 1):
            one, other = (
                flat(Batches(s, 64, shuffle=True, seed=1, chunk=None, rank=rank, world_size=2))
                for s in (whole, mapped(whole))
            )
            for a, b in zip(one, other, strict=True):
                assert torch.equal(a.x, b.x) and torch.equal(a.index, b.index)
                assert a.y is not None and b.y is not None and torch.equal(a.y, b.y)
        for a, b in zip(moments(whole), moments(mapped(whole)), strict=True):
            assert torch.equal(a, b)

    def test_another_device_holds_a_copy(self) -> None:
        split = mapped(split_of(1500)).to("meta")
        assert split.rows is None and split.images.shape == (1500, 2, 3, 1)
        assert split.images.device.type == "meta" and split.labels is not None


class TestFolder:
    @pytest.mark.parametrize("given", [True, False])
    @pytest.mark.parametrize("channels", ["auto", 1])
    def test_both_ways_are_the_same(self, tmp_path: Path, given: bool, channels: Any) -> None:
        root = tmp_path / "größe [a=b]"
        for part in ("train", "test") if given else (".",):
            pictures(root / part)
        (root / "test" / "ant").mkdir(parents=True, exist_ok=True)
        (root / ("train" if given else "ant") / "x.png").write_bytes(b"no image")
        options = {"channels": channels, "skip_broken": True, "image_size": [4, 5]}
        for which in ("train", "test"):
            one, *others = (load(root, mode, which, **options) for mode in (True, False, False))
            assert one.rows is None and all(other.rows is not None for other in others)
            assert len(one) > 1 and all(same(one, other) for other in others)
        assert len(entries(root)) == 2

    def test_the_file_is_written_once(self, tmp_path: Path) -> None:
        root = pictures(tmp_path / "images")
        before = load(root, False, test_fraction=0.0)
        path = root / "ant" / "000.bmp"
        times = path.stat()
        picture(path, 99)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as if it had not changed
        assert same(before, load(root, False, test_fraction=0.0))
        assert not same(before, load(root, True, test_fraction=0.0))

    @pytest.mark.parametrize("change", ["content", "new", "gone"])
    def test_a_changed_folder_is_decoded_again(self, tmp_path: Path, change: str) -> None:
        root = pictures(tmp_path / "images")
        before = load(root, False, test_fraction=0.0)
        path = root / "ant" / "000.bmp"
        if change == "gone":
            path.unlink()
        else:
            picture(root / "ant" / "new.bmp" if change == "new" else path, 99)
            os.utime(path, ns=(0, 0))
        after = load(root, False, test_fraction=0.0)
        assert same(after, load(root, True, test_fraction=0.0)) and not same(before, after)
        assert len(entries(root)) == 1
        assert len(before.pixels()) == 12  # of a file that has no name any more

    @pytest.mark.parametrize(
        "damage", ["short", "empty", "shape", "record", "no record", "partial"]
    )
    def test_a_damaged_file_is_written_again(self, tmp_path: Path, damage: str) -> None:
        root = pictures(tmp_path / "images")
        good = load(root, True)
        load(root, False)
        (entry,) = entries(root)
        images, record = entry / "images.npy", entry / "record.json"
        match damage:
            case "short" | "empty":
                os.truncate(images, images.stat().st_size - 1 if damage == "short" else 0)
            case "shape":
                np.save(images, np.zeros((3, 1, SIZE, SIZE), np.uint8))
            case "record":
                record.write_text('{"broken": 3')
            case "no record":
                record.unlink()
            case _:
                entry.rename(f"{entry}.partial")
        assert same(good, load(root, False))
        assert entries(root) == [entry] and images.stat().st_size > good.nbytes

    def test_a_file_that_can_be_read_again(self, tmp_path: Path) -> None:
        root = pictures(tmp_path / "images")
        path = root / "bee" / "003.bmp"
        good, times = path.read_bytes(), path.stat()
        for content in (b"\0" * len(good), good):
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            split = load(root, False, test_fraction=0.0, skip_broken=True)
            assert len(split) == (12 if content == good else 11)
            assert same(split, load(root, True, test_fraction=0.0, skip_broken=True))

    def test_broken_files_are_refused_each_time(self, tmp_path: Path) -> None:
        root = pictures(tmp_path / "images")
        (root / "ant" / "000.bmp").write_bytes(b"no")
        options = {"channels": 3, "skip_broken": False, "test_fraction": 0.0, "image_size": SIZE}
        texts = [
            message(ImageFolder(root=str(root), in_memory=mode, **options), "train", tmp_path)
            for mode in (True, False, False)
        ]
        assert "1 of 12" in texts[0] and len(set(texts)) == 1


class TestChoice:
    def test_auto_takes_a_quarter_of_the_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = pictures(tmp_path / "images")
        assert load(root, "auto").rows is None and not entries(root)
        assert room.fits("auto", 10, (1, 5, 5), 1000) and not room.fits("auto", 10, (1, 5, 5), 999)
        assert room.fits(True, 10, (1, 5, 5), 500) and room.fits("auto", 10, (1, 5, 5), None)
        assert not room.fits(False, 1, (1, 1, 1), 10**9)
        monkeypatch.setattr(room, "SHARE", 0)
        assert load(root, "auto").rows is not None and len(entries(root)) == 1

    @pytest.mark.parametrize(
        ("mode", "names"),
        [
            (True, ["in_memory=true", "in_memory=auto"]),
            (False, ["cache_dir"]),
            ("auto", ["cache_dir"]),
        ],
    )
    def test_too_large_for_anything(self, tmp_path: Path, mode: Any, names: list[str]) -> None:
        pictures(tmp_path / "images", 2)
        source = ImageFolder(
            root=str(tmp_path / "images"), image_size=10**7, channels=3, skip_broken=False,
            test_fraction=0.0, in_memory=mode,
        )  # fmt: skip
        text = message(source, "train", tmp_path)
        assert all(f"dataset.{name}" in text for name in [*names, "image_size"])
        assert not list(tmp_path.glob("cache/*/*"))

    def test_a_cache_that_cannot_be_made(self, tmp_path: Path) -> None:
        pictures(tmp_path / "images", 2)
        (tmp_path / "file").touch()
        source = ImageFolder(
            root=str(tmp_path / "images"), image_size=4, channels=3, skip_broken=False,
            test_fraction=0.0, in_memory=False, cache_dir=f"{tmp_path}/file/cache",
        )  # fmt: skip
        text = message(source, "train", tmp_path)
        assert text.startswith(f"dataset.cache_dir={tmp_path}/file/cache: ") and "Not a dir" in text


def test_processes_at_once_decode_once(tmp_path: Path) -> None:
    root = pictures(tmp_path / "images", 300)
    files = (tmp_path / "out", tmp_path / "err")
    with ProcessPoolExecutor(3, FORKED, speak_into, files) as pool:
        found = list(pool.map(load, [root] * 3, [False] * 3))
    assert all(same(split, load(root, True)) for split in found)
    error = files[1].read_text()
    assert error.count("decoding 225 images") == 1 and "Warning" not in error


def test_whole_runs_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECORE_DATA_DIR", str(tmp_path / "data"))
    root = pictures(tmp_path / "images", 60)
    command = [
        "model=conv_ae", "dataset=image_folder", f"dataset.root={root}", "dataset.image_size=8",
        "dataset.batch_size=7", "dataset.val_size=5", "dataset.range=standardised",
        "trainer.max_epochs=2", "figures=none", "logger=none", "noise=gaussian",
    ]  # fmt: skip
    told = []
    for name in ("true", "false"):
        folder = tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            assert main([*command, f"dataset.in_memory={name}", f"hydra.run.dir={folder}"]) == 0
        metrics = json.loads((folder / "metrics.json").read_text())
        rows = (folder / "history.csv").read_text().splitlines()
        clock = [i for i, key in enumerate(rows[0].split(",")) if "second" in key]
        told.append((
            {key: value for key, value in metrics.items() if "second" not in key},
            [[v for i, v in enumerate(row.split(",")) if i not in clock] for row in rows],
        ))  # fmt: skip
    assert told[0] == told[1] and "test/mse" in told[0][0] and len(told[0][1]) == 3
    assert len(entries(root)) == 2
