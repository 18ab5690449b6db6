"""Masks of anomalous pixels: which file belongs to which image, and that they lie upon it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from aecore.data.pixels import resized, resized_masks
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Split, joined
from helpers.image_files import folder, grey, mvtec, save
from helpers.sources import message


def loaded(root: Path, image_size: int | list[int] = 8) -> Split:
    return folder(root, image_size=image_size).load("test", root)


def test_of_each_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    split = loaded(mvtec(tmp_path))
    assert split.names == ("crack/000.png", "crack/001.png", "good/000.png", "good/001.png")
    assert split.masks is not None and split.masks.dtype == torch.bool
    assert torch.equal(split.masks, split.images == 255)
    assert split.masks.sum((1, 2, 3)).tolist() == [6, 6, 0, 0]
    train = folder(tmp_path, image_size=8).load("train", tmp_path)
    assert len(train) == 4 and train.masks is None, "no mask is taken for an image"
    assert "ground_truth/ has its masks of anomalous pixels" in caplog.text
    assert "not used" not in caplog.text
    whole, test = folder(tmp_path, image_size=8).whole(tmp_path)
    assert whole.masks is not None and torch.equal(whole.masks[test], split.masks)
    assert len(whole) == 8 and not whole.masks[:4].any()


def test_masks_stay_with_their_images(tmp_path: Path) -> None:
    split = loaded(mvtec(tmp_path))
    assert split.masks is not None
    index = torch.tensor([2, 1, 1])
    assert torch.equal(split.subset(index).masks, split.masks[index])  # type: ignore[arg-type]
    moved = split.to("meta").masks
    assert moved is not None and moved.device.type == "meta"
    both = joined(replace(split, masks=None), split)
    assert both.masks is not None and both.masks[:4].sum() == 0
    assert torch.equal(both.masks[4:], split.masks)
    mapped = folder(tmp_path, image_size=8, in_memory=False).load("test", tmp_path)
    assert mapped.rows is not None and torch.equal(mapped.masks, split.masks)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [[4, 4], [6, 3], [5, 9], [20, 30]])
def test_are_resized_and_cut_as_the_images(tmp_path: Path, size: list[int]) -> None:
    """A mask is the nearest-pixel version of what Pillow does with the image itself."""
    mvtec(tmp_path, 12, 17)
    masks = loaded(tmp_path, size).masks
    assert masks is not None
    for n in range(2):
        with Image.open(tmp_path / f"ground_truth/crack/{n:03}_mask.png") as file:
            wanted = ImageOps.fit(file, (size[1], size[0]), method=Image.Resampling.NEAREST)
        assert np.array_equal(masks[n, 0], np.asarray(wanted) == 255)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 12, 24), (1, 24, 12)])
def test_resized_masks_lie_where_resized_images_do(shape: tuple[int, int, int]) -> None:
    masks = torch.zeros(2, 1, 16, 24, dtype=torch.bool)
    masks[0, :, 4:12, 8:16] = True
    found, images = resized_masks(masks, shape), resized(masks.float(), shape)
    assert found.shape == (2, 1, *shape[1:]) and not found[1].any()
    inner = (images[0, :1] - 0.5).abs() > 0.45  # away from the edges, where images are smoothed
    assert inner.float().mean() > 0.5 and found[0].any()
    assert torch.equal(found[0][inner], images[0, :1][inner] > 0.5)


def test_usual_variants(tmp_path: Path) -> None:
    """Masks of 0 and 1, without `_mask`, of another type, in a folder of another spelling."""
    mvtec(tmp_path)
    for n in range(2):
        old = tmp_path / f"ground_truth/crack/{n:03}_mask.png"
        with Image.open(old) as mask:
            ones = np.asarray(mask) // 255
        old.unlink()
        save(tmp_path / f"ground_truth/crack/{n:03}.bmp", ones)
    (tmp_path / "ground_truth").rename(tmp_path / "Ground-Truth")
    split = loaded(tmp_path)
    assert torch.equal(split.masks, split.images == 255)  # type: ignore[arg-type]


def test_a_broken_image_takes_its_mask_with_it(tmp_path: Path) -> None:
    (mvtec(tmp_path) / "test/crack/000.png").write_bytes(b"nothing")
    split = folder(tmp_path, image_size=8, skip_broken=True).load("test", tmp_path)
    assert len(split) == 3 and torch.equal(split.masks, split.images == 255)  # type: ignore[arg-type]


def test_each_defect_has_one_mask(tmp_path: Path) -> None:
    source: ImageFolder = folder(mvtec(tmp_path), image_size=8)
    masks = tmp_path / "ground_truth/crack"
    (masks / "001_mask.png").rename(masks / "002_mask.png")
    assert "holds no mask of test/crack/001.png" in message(source, "train")
    save(masks / "001_mask.png", grey(0, 8, 8))
    assert "crack/002_mask.png is the mask of no image of test/" in message(source, "train")
    (masks / "002_mask.png").rename(masks / "001.png")
    text = message(source, "train")
    assert "crack/001.png and crack/001_mask.png are of one image" in text
    assert "or rename ground_truth/ to use the images without masks" in text
    (masks / "001.png").unlink()
    save(masks / "001_mask.png", grey(0, 8, 9))
    assert "crack/001_mask.png is 8x9 and its image 8x8" in message(source, "test")
    (masks / "001_mask.png").write_bytes(b"nothing")
    assert "001_mask.png cannot be decoded" in message(source, "test")
    (tmp_path / "ground_truth").rename(tmp_path / "labels")
    assert source.load("test", tmp_path).masks is None
