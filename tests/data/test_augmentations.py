"""Augmentations against those of torchvision image by image; draws, targets and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

from aecore.data.augmentations.base import Augment, Augmentation, draw_uniform
from aecore.data.augmentations.crop import Crop
from aecore.data.augmentations.erase import Erase
from aecore.data.augmentations.flip import Flip
from aecore.data.augmentations.rotate import Rotate
from aecore.data.augmentations.shift import Translate
from aecore.errors import ConfigError
from aecore.types import Batch
from helpers.models import gen, images

ALL: dict[str, Augmentation] = {
    "flip": Flip(horizontal=0.5, vertical=0.5),
    "shift": Translate(pixels=2, padding="reflect"),
    "crop": Crop(size=4),
    "rotate": Rotate(degrees=40.0, padding="constant"),
    "erase": Erase(p=0.7, area=[0.1, 0.4], ratio=[0.5, 2.0], value=0.5),
}
X = images(400, 2, 6, 9)


def places(candidates: list[Tensor], found: Tensor, tolerance: float = 0.0) -> Tensor:
    """(N,) which of the candidates (N, C, H, W) each image is; asserts that it is one."""
    same = torch.stack([(c - found).abs().flatten(1).amax(1) <= tolerance for c in candidates])
    assert bool(same.any(0).all())
    return same.float().argmax(0)


def is_uniform(values: Tensor, kinds: int) -> bool:
    """Whether 0, ..., kinds - 1 occur as often as one would expect, within 4.5 deviations."""
    counts = torch.bincount(values, minlength=kinds).double()
    mean = len(values) / kinds
    return bool(((counts - mean).abs() < 4.5 * (mean * (1 - 1 / kinds)) ** 0.5).all())


class TestReferences:
    def test_flip(self) -> None:
        both = functional.vertical_flip(functional.horizontal_flip(X))
        flips = [X, functional.horizontal_flip(X), functional.vertical_flip(X), both]
        assert is_uniform(places(flips, ALL["flip"](X, gen())), 4)
        always = Flip(horizontal=1.0, vertical=0.0)(X, gen())
        assert torch.equal(always, functional.horizontal_flip(X))

    @pytest.mark.parametrize("padding", ["constant", "edge", "reflect"])
    def test_shift(self, padding: Any) -> None:
        padded = functional.pad(X, [2], padding_mode=padding)
        moved = [padded[:, :, i : i + 6, j : j + 9] for i in range(5) for j in range(5)]
        assert is_uniform(places(moved, Translate(pixels=2, padding=padding)(X, gen())), 25)

    @pytest.mark.parametrize(("size", "window"), [(4, (4, 4)), (0.6, (4, 5))])
    def test_crop(self, size: float, window: tuple[int, int]) -> None:
        """0.6 of 6 rows and 9 columns are 3.6 and 5.4, rounded 4 and 5."""
        bilinear = InterpolationMode.BILINEAR
        corners = [(i, j) for i in range(7 - window[0]) for j in range(10 - window[1])]
        cropped = [functional.resized_crop(X, *c, *window, [6, 9], bilinear) for c in corners]
        found = Crop(size=size)(X, gen())
        assert is_uniform(places(cropped, found, 1e-6), len(corners))

    @pytest.mark.parametrize("degrees", [5.0, 180.0])
    def test_rotate(self, degrees: float) -> None:
        x = X[:40]
        angles = draw_uniform(x, gen(), -degrees, degrees)
        assert angles.min() < -0.8 * degrees and angles.max() > 0.8 * degrees
        found = Rotate(degrees=degrees, padding="constant")(x, gen())
        for image, angle, one in zip(x, angles.tolist(), found, strict=True):
            expected = functional.rotate(image, angle, InterpolationMode.BILINEAR)
            assert torch.allclose(one, expected, atol=1e-4)

    def test_rotated_borders(self) -> None:
        white = torch.ones(20, 1, 6, 9)
        dark = Rotate(degrees=90.0, padding="constant")(white, gen()).amin((1, 2, 3))
        assert float(dark.median()) < 0.1
        for padding in ("edge", "reflect"):
            assert torch.allclose(Rotate(degrees=90.0, padding=padding)(white, gen()), white)

    def test_erase(self) -> None:
        x = torch.zeros(4000, 1, 30, 30)
        erased = Erase(p=0.7, area=[0.1, 0.2], ratio=[0.5, 2.0], value=1.0)(x, gen())[:, 0] == 1
        height, width = erased.any(2).sum(1), erased.any(1).sum(1)
        assert torch.equal(erased.sum((1, 2)), height * width)  # rectangles
        hit = height > 0
        assert abs(float(hit.float().mean()) - 0.7) < 4.5 * (0.7 * 0.3 / 4000) ** 0.5
        area, ratio = (height * width / 900)[hit], (height / width)[hit]
        assert float(area.min()) > 0.1 - 0.02 and float(area.max()) < 0.2 + 0.02
        assert abs(float(area.mean()) - 0.15) < 4.5 * 0.1 / math.sqrt(12 * len(area)) + 1e-3
        assert abs(float(ratio.log().mean())) < 4.5 * math.log(4) / math.sqrt(12 * len(area)) + 1e-2
        share = erased[hit].float().mean(0)
        assert float(share.min()) > 0  # every pixel has its turn
        assert torch.allclose(share, share.flip(0), atol=0.05)
        assert torch.allclose(share, share.flip(1), atol=0.05)

    def test_a_long_rectangle_ends_at_the_border(self) -> None:
        erased = Erase(p=1.0, area=[0.5, 0.5], ratio=[9.0, 9.0], value=1.0)
        found = erased(torch.zeros(9, 1, 6, 6), gen())
        assert torch.equal(found.amax((1, 3)), torch.ones(9, 6))


@pytest.mark.parametrize("name", ALL)
class TestEveryAugmentation:
    def test_draws_for_each_image_from_its_generator_alone(self, name: str) -> None:
        same = images(1, 2, 6, 9).expand(60, -1, -1, -1)
        kept = same.clone()
        state = torch.get_rng_state()
        found, again, other = (ALL[name](same, gen(seed)) for seed in (1, 1, 2))
        assert torch.equal(state, torch.get_rng_state()) and torch.equal(same, kept)
        assert torch.equal(found, again) and not torch.equal(found, other)
        assert len(found.flatten(1).unique(dim=0)) > 3 and found.shape == same.shape
        assert float(found.min()) >= 0 and float(found.max()) <= 1 + 1e-6

    def test_a_target_has_the_draw_of_its_image(self, name: str) -> None:
        batch = Batch(X, None, torch.arange(len(X)), X.flip(1).contiguous())
        found = Augment({name: ALL[name]})(batch, gen())
        assert found.target is not None
        assert torch.equal(found.target, found.x.flip(1)) and not torch.equal(found.x, X)

    @pytest.mark.parametrize("given", [True, False])
    def test_input_only(self, name: str, given: bool) -> None:
        target = images(len(X), 2, 6, 9, seed=5) if given else None
        batch = Batch(X, None, torch.arange(len(X)), target)
        found = Augment({name: ALL[name]}, input_only=True)(batch, gen())
        assert found.target is (X if target is None else target)
        assert torch.equal(found.x, ALL[name](X, gen()))

    def test_without_a_target_the_output_is_compared_with_the_changed_image(
        self, name: str
    ) -> None:
        found = Augment({name: ALL[name]})(Batch(X, None, torch.arange(len(X))), gen())
        assert found.target is None and torch.equal(found.x, ALL[name](X, gen()))


def test_several_follow_one_another() -> None:
    changes = {name: ALL[name] for name in ("shift", "flip")}
    generator = gen(3)
    expected = ALL["flip"](ALL["shift"](X, generator), generator)
    assert torch.equal(Augment(changes)(Batch(X, None, torch.arange(400)), gen(3)).x, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ALL)
def test_on_a_gpu(name: str) -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    found = ALL[name](X.cuda(), generator)
    assert found.is_cuda and found.shape == X.shape and not torch.equal(found.cpu(), X)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "shape", "text"),
        [
            (Crop(size=7), (1, 6, 9), "crop.size=7: a window of 7x7 pixels is larger than"),
            (Crop(size=6), (1, 6, 6), "crop.size=6: a window of 6x6 pixels is all of 6x6"),
            (Crop(size=0.99), (1, 6, 6), "crop.size=0.99: a window of 6x6 pixels is all of 6x6"),
            (Translate(pixels=6, padding="edge"), (1, 6, 9), "shift.pixels=6: moves images of 6x9"),
            (Translate(pixels=1, padding="edge"), (3, 1, 9), "shift.pixels=1: moves images of 1x9"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_shapes(self, change: Augmentation, shape: Any, text: str) -> None:
        with pytest.raises(ConfigError, match=text):
            change.check(shape)

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            (Flip, {"horizontal": 1.5, "vertical": 0.0}),
            (Translate, {"pixels": 0, "padding": "edge"}),
            (Crop, {"size": 1.5}),
            (Rotate, {"degrees": 0.0, "padding": "edge"}),
            (Erase, {"p": 0.5, "area": [0.1], "ratio": [1.0, 1.0], "value": 0.0}),
        ],
    )
    def test_ranges(self, kind: Any, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            kind(**options)

    @pytest.mark.parametrize("change", [{"area": [0.3, 0.1]}, {"area": [0.1, 2.0]}])
    def test_areas(self, change: dict[str, Any]) -> None:
        options = {"p": 0.5, "area": [0.1, 0.2], "ratio": [1.0, 1.0], "value": 0.0}
        with pytest.raises(ConfigError, match=r"augment\.erase\.area"):
            Erase(**(options | change))
