"""Sprites of known factors: what is drawn is what the factors say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from aecore.data.sources.shapes import Shapes
from aecore.data.split import Split
from aecore.errors import UserError
from helpers.sources import message


def shapes(**changes: Any) -> Shapes:
    values: dict[str, Any] = {
        "image_size": 32,
        "scales": 3,
        "rotations": 4,
        "turn": 90.0,
        "positions": 5,
        "test_fraction": 0.25,
    }
    return Shapes(**(values | changes))


def grid(**changes: Any) -> Tensor:
    """(3, scales, rotations, x, y, S, S): every image at the place of its factors, in [0, 1]."""
    source = shapes(**changes)
    found = torch.full((*source.counts, source.image_size, source.image_size), torch.nan)
    for which in ("train", "test"):
        split = source.load(which, Path("nowhere"))
        assert split.factors is not None
        found[tuple(split.factors.T)] = split.pixels()[:, 0]
    assert not found.isnan().any(), "every combination is in one of the parts"
    return found


def test_splits() -> None:
    train, test = (shapes().load(which, Path("nowhere")) for which in ("train", "test"))
    assert (len(train), len(test)) == (675, 225)
    for split in (train, test):
        assert split.images.dtype == torch.uint8 and split.image_shape == (1, 32, 32)
        assert split.class_names == ("square", "ellipse", "heart")
        assert split.factors is not None and split.labels is not None
        assert torch.equal(split.labels, split.factors[:, 0])
    assert train.factors is not None and test.factors is not None
    both = torch.cat([train.factors, test.factors])
    assert len(both.unique(dim=0)) == 900 and both.amax(0).tolist() == [2, 2, 3, 4, 4]
    images = torch.cat([train.images, test.images]).flatten(1)
    assert len(images.unique(dim=0)) == 900, "no two images are the same"
    again = shapes().load("train", Path("elsewhere"))
    assert torch.equal(again.images, train.images) and again.factors is not None
    assert torch.equal(again.factors, train.factors)


@pytest.mark.parametrize(("size", "step"), [(32, 4), (33, 4), (47, 5)])
def test_a_step_of_x_or_y_shifts_the_image(size: int, step: int) -> None:
    images = grid(image_size=size)
    for dim, side in ((3, -1), (4, -2)):
        before, after = images.narrow(dim, 0, 4), images.narrow(dim, 1, 4)
        assert torch.equal(after, before.roll(step, side))
        assert after.ne(before).flatten(-2).any(-1).all()
    mass = (255 * images).round().sum((-2, -1)).flatten(3)
    assert torch.equal(mass, mass[..., :1].expand_as(mass)), "nothing is cut off or comes around"


def test_the_middle_position_is_the_middle() -> None:
    image = grid(scales=1, rotations=1)[0, 0, 0, 2, 2]
    assert torch.equal(image, image.flip(0)) and torch.equal(image, image.flip(1))


def test_areas_are_those_of_the_figures() -> None:
    """In units of the circle around them, r^2: 2, pi/2, and the heart's own; whatever the turn."""
    images = grid(image_size=64, positions=2)
    for scale, share in enumerate((0.5, 0.75, 1.0)):
        area = images[:, scale].sum((-2, -1)) / (16 * share) ** 2
        expected = torch.tensor([2.0, np.pi / 2, 3.6617 / 1.425**2])
        torch.testing.assert_close(
            area, expected[:, None, None, None].expand_as(area), atol=0.04, rtol=0
        )


def test_rotations_are_clockwise() -> None:
    """The long axis of the ellipse by its second moments; the heart's tip by its third."""
    at = torch.arange(64) - 31.5
    down, right = at[:, None], at[None, :]
    images = grid(image_size=64, scales=1, rotations=12, turn=360.0, positions=1)[:, 0, :, 0, 0]
    for k, image in enumerate(images[1]):
        xx, yy, xy = ((image * a).sum() for a in (right**2, down**2, right * down))
        axis = float(torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy)))
        assert abs((axis - 30 * k + 90) % 180 - 90) < 0.5
    for k, image in enumerate(images[2]):
        turn = np.radians(30 * k)
        along = np.cos(turn) * down - np.sin(turn) * right
        across = np.cos(turn) * right + np.sin(turn) * down
        assert (image * (along > 0.8 * 16 / 1.425)).sum() > 0, "the tip is below"
        width = [(image * ((along - v).abs() < 1) * across.abs()).sum() for v in (-6, 6)]
        assert width[0] > 2 * width[1]
    assert torch.equal(images[0, 0], images[0, 3]), "a square is its own quarter turn"


def test_a_large_grid_keeps_the_shape_of_a_small_one() -> None:
    """The first rotation and the largest scale do not depend on how many there are."""
    one, many = grid(scales=1, rotations=1), grid()
    assert torch.equal(one[:, 0, 0], many[:, 2, 0])


def test_factors_stay_with_their_images() -> None:
    split = shapes().load("test", Path("nowhere"))
    assert split.factors is not None
    index = torch.tensor([7, 3, 3])
    part = split.subset(index)
    assert part.factors is not None
    assert torch.equal(part.factors, split.factors[index])
    rows = torch.arange(len(split)).flip(0)
    mapped = Split(split.images, rows=rows, factors=split.factors[rows])
    for moved in (part.to("meta"), mapped.to("meta")):
        assert moved.factors is not None and moved.factors.device.type == "meta"


def test_errors() -> None:
    with pytest.raises(UserError, match=r"dataset.positions=18: .* room for 17"):
        shapes(positions=18)
    assert len(shapes(positions=17).load("test", Path())) > 0
    text = message(shapes(image_size=1024, positions=513, rotations=10**9), "train")
    assert "GiB" in text and "dataset.image_size" in text
    for change in (
        {"image_size": 8}, {"scales": 0}, {"turn": 361.0}, {"test_fraction": 0.0},
        {"test_fraction": 1.0},
    ):  # fmt: skip
        with pytest.raises(ValidationError, match=next(iter(change))):
            shapes(**change)
