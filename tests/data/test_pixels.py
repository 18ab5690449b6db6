"""Images as users hold them: converted, or refused with what helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import aecore
from aecore.data.pixels import as_images, as_pixels
from helpers.models import images

SHAPES = [
    ((5, 3, 20, 12), (1, 8, 8)),
    ((5, 20, 12), (3, 8, 8)),
    ((5, 4, 20, 12), (1, 8, 8)),
    ((5, 1, 4, 4), (3, 9, 6)),
    ((0, 3, 20, 12), (1, 8, 8)),
]


class TestResized:
    @pytest.mark.parametrize(("found", "shape"), SHAPES, ids=str)
    def test_whatever_holds_them(self, found: tuple[int, ...], shape: Any) -> None:
        """The same images of bytes and of floats, of tensors and of arrays."""
        bright = torch.randint(0, 256, found, generator=torch.manual_seed(0), dtype=torch.uint8)
        tensor = aecore.resized(bright, shape)
        assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32
        assert tensor.shape == (found[0], *shape)
        torch.testing.assert_close(tensor, aecore.resized(bright / 255, shape))
        array = aecore.resized(bright.numpy(), shape)
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, tensor.numpy())
        if found[0]:
            assert 0 <= array.min() < 0.4 and 0.6 < array.max() <= 1, "no image is ruined"

    def test_is_what_pillow_makes_of_it(self) -> None:
        x = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
        theirs = np.asarray(Image.fromarray(x).resize((8, 8), Image.Resampling.BICUBIC))
        ours = aecore.resized(x[None], (1, 8, 8))[0, 0] * 255
        assert abs(ours - theirs).max() <= 1

    def test_colours(self) -> None:
        x = images(2, 4, 6, 6)
        grey = (x[:, :3] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
        torch.testing.assert_close(aecore.resized(x, (1, 6, 6)), grey)
        torch.testing.assert_close(aecore.resized(x[:, :3], (1, 6, 6)), grey)
        assert torch.equal(aecore.resized(x, (3, 6, 6)), x[:, :3]), "transparency is left out"
        assert torch.equal(aecore.resized(x[:, 0], (3, 6, 6)), x[:, :1].expand(-1, 3, -1, -1))

    def test_numbers_of_another_range_stay_there(self) -> None:
        x = 16 * images(3, 1, 9, 9)
        assert aecore.resized(x, (1, 8, 8)).max() > 10

    @pytest.mark.parametrize(
        ("given", "shape", "reason"),
        [
            (np.zeros((2, 3, 3), int), (1, 8, 8), "not clear what white is"),
            (np.full((2, 3, 3), np.nan), (1, 8, 8), "NaN"),
            (np.zeros((8, 8)), (1, 4, 4), r"cannot be converted\n  give \(N, C, H, W\)"),
            (np.zeros((2, 5, 8, 8)), (1, 4, 4), "cannot be converted"),
            (np.zeros((2, 0, 8)), (1, 4, 4), "cannot be converted"),
            (np.zeros((2, 8, 8)), (1, 1, 64), "rows cannot be converted"),
            (np.zeros((2, 1, 1, 64)), (1, 4, 4), "cannot be converted"),
            (np.zeros((2, 8, 8)), 8, "image_shape=8: give .channels"),
            ("a.png", (1, 4, 4), "no numbers"),
        ],
    )
    def test_is_refused(self, given: Any, shape: Any, reason: str) -> None:
        with pytest.raises(aecore.UserError, match=reason):
            aecore.resized(given, shape)


WRONG: list[tuple[Any, tuple[int, int, int], bool]] = [
    (np.zeros((5, 3, 28, 28)), (1, 8, 8), True),
    (np.zeros((5, 28, 28)), (1, 8, 8), True),
    (np.zeros((5, 28, 28)), (3, 28, 28), True),
    (np.zeros((5, 8, 8, 1)), (1, 8, 8), True),
    (np.zeros((5, 28, 28, 3)), (1, 8, 8), True),
    (np.zeros((28, 28, 3)), (3, 8, 8), True),
    (np.zeros((8, 8, 3)), (3, 8, 8), True),
    (np.zeros((8, 8)), (1, 8, 8), True),
    (np.zeros(64), (1, 8, 8), True),
    (np.zeros((3, 8, 8)), (3, 8, 8), True),
    (np.zeros(7), (1, 1, 7), True),
    (np.zeros((5, 6)), (1, 1, 7), False),
    (np.zeros((5, 28, 28)), (1, 1, 7), False),
    (np.zeros((5, 784)), (1, 8, 8), False),
    (np.zeros((5, 5, 28, 28)), (1, 8, 8), False),
    (np.zeros((1, 1, 1, 8, 8)), (1, 8, 8), False),
    (np.zeros(0), (1, 8, 8), False),
    (np.zeros(()), (1, 8, 8), False),
    (np.zeros((5, 0, 28)), (1, 8, 8), False),
]


KINDS: dict[str, Any] = {"array": np.asarray, "tensor": torch.as_tensor, "list": np.ndarray.tolist}
CASES = [
    pytest.param(kind(given), shape, helped, id=f"{given.shape}-{name}")
    for given, shape, helped in WRONG
    for name, kind in KINDS.items()
    if given.size or given.ndim == 1 or name != "list"  # which does not keep the shape of nothing
]


@pytest.mark.parametrize(("given", "shape", "helped"), CASES)
def test_what_helps_can_be_done(given: Any, shape: Any, helped: bool) -> None:
    """The mend that is printed is a line of Python: it is run, and what comes out fits."""
    with pytest.raises(aecore.UserError, match="this model takes") as error:
        as_images(given, shape)
    _, *mends = str(error.value).splitlines()
    assert bool(mends) == helped
    for mend in mends:
        line = mend.rpartition(": ")[2].removesuffix(" converts")
        names = {"aecore": aecore, "np": np, "images": given}
        found = as_pixels(eval(line, names), shape, any_range=True)
        assert tuple(found.shape[1:]) == shape


def test_of_pillow() -> None:
    picture = Image.fromarray(np.zeros((30, 20, 3), np.uint8))
    with pytest.raises(aecore.UserError, match=r"resized\(np.asarray\(images\).transpose.2, 0, 1"):
        as_images(picture, (1, 8, 8))


@pytest.mark.parametrize(
    ("made", "mend", "what"),
    [
        (lambda x: torch.tensor(x).to_sparse(), "to_dense", "sparse tensor"),
        (lambda x: torch.tensor(x).flatten(1).to_sparse_csr(), "to_dense", "sparse tensor"),
        (lambda x: np.ma.masked_less(x, 0.5), "filled", "masked array"),
        (lambda x: [np.ma.masked_less(one, 0.5) for one in x], "filled", "masked array"),
        (lambda x: [torch.tensor(one).to_sparse() for one in x], "to_dense", "sparse tensor"),
    ],
)
def test_arrays_without_all_values_are_refused(made: Any, mend: str, what: str) -> None:
    x = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    for read in (
        lambda images: as_pixels(images, (1, 8, 8)),
        lambda images: aecore.fit("ae", images),
        lambda images: aecore.resized(images, (1, 4, 4)),
    ):
        with pytest.raises(aecore.UserError) as error:
            read(made(x))
        problem, *hints = str(error.value).splitlines()
        assert problem == f"images are a {what}"
        assert len(hints) == 1 and mend in hints[0]
