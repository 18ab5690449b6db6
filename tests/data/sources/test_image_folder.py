"""Folders of images: what is read, and what is said of those that cannot be."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from aecore.data.images import many
from aecore.data.images.decode import Recipe, shape_of
from aecore.data.images.files import images_under
from aecore.data.images.many import all_grey, decode_all, inspect
from aecore.errors import UserError
from helpers.image_files import folder, grey, save
from helpers.sources import message


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

    def test_each_in_its_own_size(self, tmp_path: Path) -> None:
        draws, saved = np.random.default_rng(0), {}
        for part, count in (("train", 5), ("test", 3)):
            for i in range(count):
                pixels = draws.integers(0, 256, [(4, 4), (3, 7), (90, 5)][i % 3], dtype=np.uint8)
                save(tmp_path / part / f"{part}{i}.png", pixels)
                saved[f"{part}{i}.png"] = pixels
        groups = folder(tmp_path).each_size(Path())
        assert sorted(i for places, _ in groups for i in places.tolist()) == list(range(8))
        for places, split in groups:
            assert split.names is not None
            for place, name, image in zip(places.tolist(), split.names, split.images, strict=True):
                assert [*saved][place] == name, "train/ first, then test/"
                assert np.array_equal(image[0].numpy(), saved[name]), "no pixel is resampled"

    def test_resizing_is_announced(self, tmp_path: Path) -> None:
        for i in range(4):
            save(tmp_path / f"{i}.png", grey(9))
        for size, note in ((4, ""), ([4, 8], "resized and cropped to 4x8")):
            source = folder(tmp_path, image_size=size)
            source.load("train", Path())
            assert source.note == note

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

    @pytest.mark.parametrize("broken", ["truncated", "bomb"])
    def test_channels_are_those_of_images_that_are_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        for i in range(3):
            save(tmp_path / f"{i}.png", grey(40 * i))
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
        path = tmp_path / "colour.png"
        save(path, noise)
        options: dict[str, Any] = {"test_fraction": 0.0, "skip_broken": True}
        assert folder(tmp_path, **options).load("train", Path()).image_shape == (3, 4, 4)
        if broken == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
        split = folder(tmp_path, **options).load("train", Path())
        assert split.image_shape == (1, 4, 4) and split.names == ("0.png", "1.png", "2.png")

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

    @pytest.mark.parametrize("name", ["@eaDir", "#recycle", "@Recycle", "__MACOSX", ".thumbs"])
    def test_folders_of_systems_are_no_classes(
        self, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A Synology keeps its thumbnails in an `@eaDir` in every folder."""
        for parent in ("", "ant/", "bee/"):
            save(tmp_path / f"{parent}{name}/0.png/thumbnail.jpg", grey(9))
        for i, kind in enumerate(("ant", "bee")):
            save(tmp_path / kind / "0.png", grey(i))
        split = folder(tmp_path, test_fraction=0.0).load("train", Path())
        assert split.names == ("ant/0.png", "bee/0.png") and split.class_names == ("ant", "bee")
        (tmp_path / "ant").rename(tmp_path / "train")
        (tmp_path / "bee").rename(tmp_path / "test")
        with caplog.at_level(logging.WARNING, "aecore"):
            assert folder(tmp_path).load("train", Path()).names == ("0.png",)
        assert not caplog.records

    def test_given_splits(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for i, name in enumerate(["train/b/0.png", "train/c/1.png", "test/a/2.png", "val/b/3.png"]):
            save(tmp_path / name, grey(i))
        with caplog.at_level(logging.WARNING, "aecore"):
            train = folder(tmp_path).load("train", Path())
        assert [r.getMessage().split(": ")[1] for r in caplog.records] == [
            "train/ is the training split, test/ the test split; not used"
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
        assert text.startswith("dataset.root: 3 of 4 images cannot be decoded, first ")
        assert str(tmp_path / "a.png") in text and "dataset.skip_broken=true" in text
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
        assert "not in [0, 65535]" in message(folder(tmp_path, test_fraction=0.0), "train")

    @pytest.mark.parametrize("times", [1.5, 2.5])
    def test_decompression_bombs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: float
    ) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10_000 / times))
        save(tmp_path / "bomb.png", grey(0, 100, 100))
        text = message(folder(tmp_path, test_fraction=0.0), "train")
        assert "bomb.png" in text and "pixels; make it smaller, or cut it into tiles" in text

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


@pytest.mark.parametrize("by_threads", [many.BY_THREADS, 200], ids=["threads", "processes"])
def test_many_files_are_decoded_in_order(
    by_threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More files than tasks, so that a task has several."""
    monkeypatch.setattr(many, "BY_THREADS", by_threads)
    for i in range(600):
        save(tmp_path / f"{i:03}.png", grey(i % 251))
    for i in (0, 299, 599):
        (tmp_path / f"{i:03}.png").write_bytes(b"no image")
    files = images_under(tmp_path)
    found = decode_all(files, Recipe((4, 4), 1))
    good = [i for i in range(600) if i not in (0, 299, 599)]
    assert found.kept.tolist() == good
    assert found.images[:, 0, 0, 0].tolist() == [i % 251 for i in good]
    assert [path.name for path in found.broken] == ["000.png", "299.png", "599.png"]
    assert [*inspect(files, shape_of)] == [(1, 4, 4) if i in good else None for i in range(600)]
    assert all_grey(files)
    save(tmp_path / "400.png", np.stack([grey(0), grey(9), grey(9)], 2))
    assert not all_grey(files)


def test_a_reading_process_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getpid()

    def kill_elsewhere(paths: Sequence[Path], look: object) -> list[None]:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return [None] * len(paths)

    monkeypatch.setattr(many, "BY_THREADS", 1)
    monkeypatch.setattr(many, "look_at_some", kill_elsewhere)
    for i in range(3):
        save(tmp_path / f"{i}.png", grey(i))
    with pytest.raises(UserError, match="was killed"):
        list(inspect(images_under(tmp_path), shape_of))


def test_both_splits_have_the_channels_that_were_found_once(tmp_path: Path) -> None:
    """`channels=auto` looks at every image, so once is enough for both splits."""
    for which in ("train", "test"):
        save(tmp_path / "images" / which / "x.png", grey(0))
    source = folder(tmp_path / "images")
    assert source.load("train", tmp_path).image_shape == (1, 4, 4)
    save(tmp_path / "images" / "train" / "y.png", grey(0), "RGB")  # while it is being read
    assert source.load("test", tmp_path).image_shape == (1, 4, 4)
    again = folder(tmp_path / "images")
    assert [again.load(which, tmp_path).image_shape[0] for which in ("test", "train")] == [3, 3]
