"""Striped textures with defects: what the masks mark is what was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from aecore.data.sources.defects import Defects
from helpers.sources import message


def defects(**changes: Any) -> Defects:
    values: dict[str, Any] = {
        "image_size": 32,
        "images": 60,
        "test_images": 30,
        "contrast": 0.3,
        "draw": 0,
    }
    return Defects(**(values | changes))


def test_splits() -> None:
    train, again, test = (defects().load(which, Path()) for which in ("train", "train", "test"))
    assert torch.equal(train.images, again.images) and len(train) == 60 and len(test) == 30
    for split in (train, test):
        assert split.images.dtype == torch.uint8 and split.image_shape == (1, 32, 32)
        assert split.class_names == ("good", "scratch", "spot") and split.labels is not None
    assert train.labels is not None and not train.labels.any() and train.masks is None
    assert test.labels is not None and test.labels.bincount().tolist() == [10, 10, 10]
    assert not torch.equal(train.images, defects(draw=1).load("train", Path()).images)
    assert not torch.equal(train.images[:30], test.images)


def test_the_masks_are_what_differs_from_a_faint_defect() -> None:
    """The textures do not depend on the contrast: what does are the pixels of the masks."""
    faint, strong = (defects(contrast=c).load("test", Path()) for c in (1e-6, 0.2))
    masks = strong.masks
    assert masks is not None and torch.equal(masks, faint.masks)  # type: ignore[arg-type]
    changed = (strong.pixels() - faint.pixels()).abs()
    assert changed[masks].min() > 0.05, "half of the contrast or more, less what is clipped at 0"
    assert changed[~masks].max() <= 0.1 + 1 / 255, "the smooth edge"
    assert not changed[strong.labels == 0].any() and strong.labels is not None
    for label in (1, 2):
        assert masks[strong.labels == label].flatten(1).any(1).all()


def test_sizes_of_defects() -> None:
    split = defects(test_images=600, image_size=48).load("test", Path())
    assert split.masks is not None and split.labels is not None
    area = split.masks.sum((1, 2, 3)).float()
    # a disc of radius r uniform in [1.5, 3]; a line of length 48 / 4 to 48 / 2 with round ends
    disc, line = torch.pi * (1.5**2 + 1.5 * 3 + 3**2) / 3, 1.5 * 18 + torch.pi * 0.75**2
    spots, scratches = (area[split.labels == label].mean() for label in (2, 1))
    assert spots == pytest.approx(disc, rel=0.06)
    assert scratches == pytest.approx(line, rel=0.08)


def test_textures_are_stripes_around_grey() -> None:
    train = defects(images=200).load("train", Path()).pixels()
    assert train.mean() == pytest.approx(0.5, abs=0.01)
    power = torch.fft.rfft2(train - 0.5).abs().square().mean((0, 1))
    low = power[:6, :6].sum() + power[-5:, :6].sum()
    assert low / power.sum() > 0.9
    assert train.var() == pytest.approx(0.2**2 / 2 + 0.03**2, rel=0.03)


def test_errors() -> None:
    text = message(defects(images=10**12), "train")
    assert text.startswith("dataset.images=1000000000000: ") and "GiB" in text
    for change in ({"image_size": 8}, {"images": 0}, {"contrast": 0.0}, {"draw": -1}):
        with pytest.raises(ValidationError, match=next(iter(change))):
            defects(**change)
