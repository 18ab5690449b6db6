"""Between two images, and along the dimensions of a code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

import aecore
from aecore.api.trained import Trained
from aecore.cli import main
from aecore.evaluation.figures.interpolations import blend, slerp
from aecore.training.setup import build_data
from helpers.models import gen

TINY = ["logger=none", "figures=none", "trainer.max_epochs=1", "trainer.threads=1"]


class TestSlerp:
    def test_is_the_closed_form_of_one_length(self) -> None:
        a, b = torch.randn(2, 5, generator=gen(1), dtype=torch.float64)
        a, b = 3 * a / a.norm(), 3 * b / b.norm()
        w, t = torch.acos(a @ b / 9), torch.linspace(0, 1, 7, dtype=torch.float64)[:, None]
        expected = (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)
        torch.testing.assert_close(slerp(a, b, 7), expected, rtol=0, atol=1e-6)

    def test_turns_and_grows_evenly(self) -> None:
        a, b = torch.randn(2, 3, 2, 2, generator=gen(2), dtype=torch.float64)
        ratio = float(b.norm() / a.norm())
        way = slerp(a, 4 * b, 9)
        assert way.shape == (9, 3, 2, 2)
        torch.testing.assert_close(way[[0, -1]], torch.stack([a, 4 * b]))
        flat = way.flatten(1)
        lengths = flat.norm(dim=1)
        torch.testing.assert_close(lengths, a.norm() * torch.linspace(1, 4 * ratio, 9),
                                   check_dtype=False)  # fmt: skip
        unit = flat / lengths[:, None]
        angles = torch.acos((unit[1:] * unit[:-1]).sum(1))
        torch.testing.assert_close(angles, angles[:1].expand(8), rtol=1e-6, atol=0)

    def test_of_equal_and_parallel_codes_is_the_line(self) -> None:
        a = torch.randn(4, generator=gen(3))
        torch.testing.assert_close(slerp(a, a, 5), a.expand(5, 4))
        torch.testing.assert_close(slerp(a, 3 * a, 5), blend(a, 3 * a, 5))
        torch.testing.assert_close(slerp(a, 0 * a, 5), blend(a, 0 * a, 5))

    def test_of_opposite_codes_goes_half_around(self) -> None:
        a = torch.tensor([0.6, 0.0, 0.8])
        way = slerp(a, -2 * a, 5)
        torch.testing.assert_close(way[[0, -1]], torch.stack([a, -2 * a]), atol=1e-6, rtol=0)
        torch.testing.assert_close(way[2], torch.tensor([0.0, 1.5, 0.0]), atol=1e-6, rtol=0)
        nearly = slerp(a, -a + torch.tensor([0.0, 0.0, 1e-5]), 3)
        torch.testing.assert_close(nearly[1].norm(), torch.tensor(1.0), rtol=1e-4, atol=0)

    def test_of_single_numbers_is_the_line(self) -> None:
        a, b = torch.tensor([1.0]), torch.tensor([-3.0])
        torch.testing.assert_close(slerp(a, b, 5), blend(a, b, 5))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small trained runs; not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    drawn = np.random.default_rng(0).integers(0, 255, (12, 9, 9, 3), np.uint8)
    for n, image in enumerate(drawn):
        file = root / f"pictures/{'ab'[n % 2]}/{n:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    np.savez(root / "table.npz", x=np.random.default_rng(0).random((40, 5), np.float32))
    small = ["dataset.batch_size=4", "dataset.val_size=0", "dataset.test_fraction=0.5"]
    pictures = ["dataset=image_folder", f"dataset.root={root / 'pictures'}", *small]
    words = {
        "cvae": ["model=cvae", "latent.dim=4", "penalty.kl.weight=0.01", "optimizer.lr=0.01"],
        "ae": ["model=ae", "latent.dim=3", *pictures, "dataset.image_size=9"],
        "vq": ["model=vq_vae", "dataset.train_size=128"],
        "unpool": ["model=conv_ae", "network=conv_unpool", "dataset.train_size=128"],
        "table": ["model=vae", "dataset=arrays", f"dataset.path={root / 'table.npz'}", *small],
    }
    for name, given in words.items():
        assert main([*TINY, *given, f"hydra.run.dir={root / name}"]) == 0
    return {name: root / name for name in words}


def opened(run: Path) -> tuple[Trained, Tensor, Tensor]:
    """A run's model, with its test images and their labels."""
    ae = aecore.load(run)
    assert ae.run is not None
    split = build_data(ae.run.config).test
    assert split.labels is not None
    return ae, split.pixels(), split.labels


def cells(file: Path, columns: int, zoom: int) -> np.ndarray:
    """What the pages of a GIF show, (T, N, 8, 8) grey 0..255, of images of 8x8 enlarged."""
    step = 8 * zoom + 1
    with Image.open(file) as gif:
        pages = [np.array(page.convert("L")) for page in ImageSequence.Iterator(gif)]
    rows = (pages[0].shape[0] - 1) // step
    corners = [(1 + r * step, 1 + c * step) for r in range(rows) for c in range(columns)]
    return np.array(
        [[p[y:, x:][: step - 1 : zoom, : step - 1 : zoom] for y, x in corners] for p in pages]
    )


def near(found: np.ndarray, images: Tensor) -> bool:
    """Whether grey values are those of images (..., 1, 8, 8), but for rounding."""
    expected = 255 * images[..., 0, :, :].clamp(0, 1).numpy()
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= 1)


class TestInterpolate:
    def test_goes_from_code_to_code_and_back(
        self, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = [f"run={runs['cvae']}", "task=interpolate", "interpolate.images=[3,7,5,20]"]
        assert main([*given, "interpolate.steps=4", f"out={tmp_path}"]) == 0
        told = capsys.readouterr().out
        assert "between 3 and 7, 5 and 20 of 360 test images of digits" in told
        ae, x, y = opened(runs["cvae"])
        codes = torch.from_numpy(ae.encode(x[[3, 7, 5, 20]].numpy(), y[[3, 7, 5, 20]]))
        for path, way in {"linear": blend, "spherical": slerp}.items():
            ways = torch.stack([way(codes[0], codes[1], 4), way(codes[2], codes[3], 4)], 1)
            images = ae.decode(ways.flatten(0, 1), y[[3, 5]].repeat(4)).unflatten(0, (4, 2))
            shown = cells(tmp_path / f"{path}.gif", 2, 14)
            assert near(shown[:4], images) and near(shown[4:], images[[2, 1]])
        assert not np.array_equal(
            cells(tmp_path / "linear.gif", 2, 14)[1], cells(tmp_path / "spherical.gif", 2, 14)[1]
        )
        assert Image.open(tmp_path / "interpolations.png").height > 4 * 80

    def test_random_pairs_are_of_different_classes(
        self, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = [f"run={runs['cvae']}", "task=interpolate", "interpolate.path=linear"]
        assert main([*given, "interpolate.pairs=5", f"out={tmp_path}"]) == 0
        told = capsys.readouterr().out.partition(" of 360")[0].removeprefix("between ")
        pairs = [tuple(map(int, pair.split(" and "))) for pair in told.split(", ")]
        _, _, y = opened(runs["cvae"])
        assert len(pairs) == 5 and all(y[a] != y[b] for a, b in pairs)
        assert {file.name for file in tmp_path.iterdir()} == {"interpolations.png", "linear.gif"}

    def test_images_by_their_names(self, runs: dict[str, Path], tmp_path: Path) -> None:
        given = [f"run={runs['ae']}", "task=interpolate", "split=all", f"out={tmp_path}"]
        assert main([*given, "interpolate.images=[a/02.png,07.png]"]) == 0
        assert Image.open(tmp_path / "spherical.gif").size == (108, 108)


class TestTraverse:
    def test_the_dimensions_of_most_kl_move(
        self, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = [f"run={runs['cvae']}", "task=traverse", "traverse.image=5", "traverse.dims=2"]
        assert main([*given, "traverse.steps=3", "traverse.span=2", f"out={tmp_path}"]) == 0
        told = capsys.readouterr().out
        where = "2 of 4 dimensions around image 5, conditional on its class"
        assert f"{where}, by their KL over 360 test images of digits" in told
        ae, x, y = opened(runs["cvae"])
        with torch.no_grad():
            posterior = ae.model.encode(x, y=y).posterior
        assert posterior is not None
        kl = posterior.kl_standard()
        assert kl is not None
        first, second = kl.mean(0).argsort(descending=True)[:2].tolist()
        pages = []
        for value in (-2.0, 0.0, 2.0):
            codes = posterior.mean[[5, 5]].clone()
            codes[0, first] = codes[1, second] = value
            pages.append(ae.decode(codes, y[[5, 5]]))
        shown = cells(tmp_path / "traversals.gif", 2, 10)
        assert len(shown) == 4 and near(shown[:3], torch.stack(pages))
        assert Image.open(tmp_path / "traversals.png").height > 2 * 80

    def test_around_the_mean_code(
        self, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = [f"run={runs['ae']}", "task=traverse", "traverse.image=mean", f"out={tmp_path}"]
        assert main(given) == 0
        told = capsys.readouterr().out
        assert "3 of 3 dimensions around the mean code, by their variance over 6 test" in told


@pytest.mark.parametrize(
    ("run", "overrides", "told"),
    [
        ("cvae", "interpolate.images=[3]", "images=[3]: each pair has two images"),
        ("cvae", "interpolate.images=[]", "images=[]: each pair has two images"),
        ("cvae", "interpolate.images=[1,360]", "images=360: these images are numbered from 0 to 3"),
        ("cvae", "interpolate.images=[a.png,1]", "these images have no names, only numbers from 0"),
        ("cvae", "interpolate.path=slerp", "must be 'linear', 'spherical' or 'both'"),
        ("cvae", "interpolate.steps=1", "interpolate.steps=1: must be greater than or equal to 2"),
        ("ae", "interpolate.images=[02.jpg,1]", "no such image in this split (did you mean"),
        ("ae", "interpolate.images=[02.jpg,1] split=all", "it has a/00.png ... b/11.png\n"),
        ("ae", "traverse.image=1000", "traverse.image=1000: these images are numbered from 0 to 5"),
        ("ae", "traverse.image=ab.png", "traverse.image=ab.png: no such image in this split"),
        ("vq", "traverse.dims=3", "task=traverse: this model's codes are discrete"),
        ("unpool", "traverse.dims=3", "task=traverse: this network decodes only the codes of im"),
        ("unpool", "interpolate.pairs=3", "task=interpolate: this network decodes only the codes"),
        ("table", "traverse.dims=3", "task=traverse: the rows of a table have no picture"),
        ("table", "interpolate.pairs=3", "task=interpolate: the rows of a table have no picture"),
    ],
)
def test_is_refused(
    runs: dict[str, Path],
    run: str,
    overrides: str,
    told: str,
    refused: Callable[..., None],
) -> None:
    task = overrides.partition(".")[0]
    refused(told, f"run={runs[run]}", f"task={task}", *overrides.split())


def test_words_between_words_are_words(runs: dict[str, Path], tmp_path: Path) -> None:
    given = [f"run={runs['vq']}", "task=interpolate", "interpolate.images=[0,1,2,3]"]
    assert main([*given, "interpolate.path=linear", f"out={tmp_path}"]) == 0
    ae, x, _ = opened(runs["vq"])
    codes = torch.from_numpy(ae.encode(x[:2].numpy()))
    with torch.no_grad():
        images = ae.decode(ae.model.latent.nearest(blend(codes[0], codes[1], 10)))
    for page in cells(tmp_path / "linear.gif", 2, 14):  # those that are alike are one
        assert any(near(page[:1], image[None]) for image in images)
