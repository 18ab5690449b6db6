"""Targets of images in files and folders: which belongs to which, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aecore.data.sources.arrays import Arrays
from aecore.data.sources.image_folder import ImageFolder
from aecore.errors import ConfigError
from helpers.image_files import folder, grey, save
from helpers.sources import message


def written(root: Path, count: int = 8) -> Path:
    """Images of grey levels 10 n below dirty/, their targets of 10 n + 5 below clean/."""
    for n in range(count):
        save(root / "dirty" / f"{n}.png", grey(10 * n))
        save(root / "clean" / f"{n}.bmp", grey(10 * n + 5))
    return root


def pairs(root: Path, **changes: Any) -> ImageFolder:
    return folder(root / "dirty", targets=str(root / "clean"), **changes)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_folder_of_targets(tmp_path: Path, in_memory: bool) -> None:
    source = pairs(written(tmp_path), in_memory=in_memory)
    both = [source.load(which, tmp_path) for which in ("train", "test")]
    assert [len(split) for split in both] == [6, 2]
    for split in both:
        chosen = split.subset(torch.tensor([1, 0]))
        assert torch.allclose(chosen.of_targets.pixels(), chosen.pixels() + 5 / 255)


def test_folders_of_splits(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for kind, level in (("dirty", 10), ("clean", 20)):
            save(tmp_path / kind / part / "a.png", grey(level))
    split = pairs(tmp_path).load("test", Path())
    assert split.targets is not None
    assert (split.images == 10).all() and (split.targets == 20).all()


def test_grey_images_with_coloured_targets_are_all_in_colour(tmp_path: Path) -> None:
    written(tmp_path)
    save(tmp_path / "clean" / "3.bmp", np.full((4, 4, 3), [9, 99, 199], np.uint8))
    assert pairs(tmp_path).load("train", Path()).image_shape == (3, 4, 4)


def test_each_has_one_partner(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "clean" / "5.bmp").unlink()
    assert "no target is named like 5.png" in message(pairs(tmp_path), "train")
    save(tmp_path / "clean" / "5.bmp", grey(1))
    save(tmp_path / "clean" / "9.bmp", grey(1))
    assert "9.bmp is of no image" in message(pairs(tmp_path), "train")
    save(tmp_path / "clean" / "5.png", grey(1))
    assert "5.bmp and 5.png have the same name" in message(pairs(tmp_path), "train")
    there_is_none = folder(tmp_path / "dirty", targets=str(tmp_path / "tidy"))
    assert "there is no such folder" in message(there_is_none, "train")
    with pytest.raises(ConfigError, match="does not go with dataset"):
        pairs(tmp_path, skip_broken=True)


def test_what_is_left_out_of_the_targets_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path)
    (tmp_path / "clean" / "notes.doc").write_text("x")
    (tmp_path / "clean" / "5.bmp").unlink()
    pages = [Image.fromarray(grey(level)) for level in (55, 90)]
    pages[0].save(tmp_path / "clean" / "5.tif", save_all=True, append_images=pages[1:])
    pairs(tmp_path).load("train", Path())
    start = f"dataset.targets={tmp_path / 'clean'}: "
    assert [record.getMessage() for record in caplog.records] == [
        f"{start}1 other files are not used: .doc (1)",
        f"{start}files of which only the first page is used: 1",
    ]


@pytest.mark.parametrize("parted", [True, False])
def test_arrays(tmp_path: Path, parted: bool) -> None:
    x = np.arange(40, dtype=np.uint8).reshape(10, 2, 2)
    names = [f"_{part}" for part in ("train", "test")] if parted else [""]
    np.savez(
        tmp_path / "a.npz", **{f"x{n}": x for n in names}, **{f"target{n}": 2 * x for n in names}
    )
    source = Arrays(path=str(tmp_path / "a.npz"), test_fraction=0.2)
    split = source.load("test", Path())
    assert split.targets is not None and len(split) == (10 if parted else 2)
    assert torch.equal(split.targets, 2 * split.images)
    whole, _ = source.whole(Path())
    assert whole.targets is not None and torch.equal(whole.targets, 2 * whole.images)


def test_arrays_with_targets_in_one_split(tmp_path: Path) -> None:
    x = np.zeros((4, 2, 2))
    np.savez(tmp_path / "a.npz", x_train=x, x_test=x, target_test=x)
    source = Arrays(path=str(tmp_path / "a.npz"), test_fraction=0.2)
    assert "it has target_test alone" in message(source, "train")


def test_arrays_of_another_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2, 2)), target=np.zeros((4, 2, 3)))
    source = Arrays(path=str(tmp_path / "a.npz"), test_fraction=0.2)
    assert "[target]: has the shape (4, 1, 2, 3); the images need" in message(source, "test")
