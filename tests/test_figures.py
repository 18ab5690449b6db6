"""Figures: what is drawn is what the model and the images say, and the files repeat themselves."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import making
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import yaml
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pydantic import ValidationError
from sklearn.decomposition import PCA
from torch import Tensor

from aecore.build import build
from aecore.figures import (
    Curves,
    Interpolations,
    Latent,
    NotApplicable,
    Picture,
    Reconstructions,
    Samples,
    View,
    draw,
)
from aecore.figures.curves import by_term
from aecore.figures.grid import displayable, image_grid, strip, tile
from aecore.figures.interpolations import blend
from aecore.figures.latent import histogram, palette, principal
from aecore.figures.view import spread
from aecore.noise import Gaussian

CONF = Path(__file__).parents[1] / "conf" / "figures"
NODES = {
    name: node
    for path in sorted(CONF.glob("*.yaml"))
    for name, node in (yaml.safe_load(path.read_text()) or {}).items()
    if name != "defaults"
}
NAMES = ("cat", "dog", "owl")
HISTORY = [
    {"epoch": 1, "train/loss": 100.0, "val/loss": 50.0, "train/kl": 2.0, "train/kl_weighted": 2.0},
    {"epoch": 2, "train/loss": 10.0, "val/loss": 5.0, "train/kl": 3.0, "train/kl_weighted": 3.0},
]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def view_of(n: int = 60, shape: tuple[int, int, int] = (1, 4, 4), **words: object) -> View:
    """A model of untrained words that looks at random images of three classes."""
    changes = {"latent": making.gaussian(3)} | words
    model = making.model(image_shape=shape, **changes).eval()
    return View(model, making.images(n, *shape), torch.arange(n) % 3, NAMES, HISTORY, 0)


def cells(axes: Axes, count: int) -> Tensor:
    """The images of a row as they were drawn, (count, 3, H, W) without the gaps."""
    drawn = torch.as_tensor(np.asarray(axes.images[0].get_array())).permute(2, 0, 1)
    gap = (drawn.shape[2] - count * drawn.shape[1]) // (count - 1)
    height = drawn.shape[1]
    parts = [drawn[:, :, n * (height + gap) : n * (height + gap) + height] for n in range(count)]
    return torch.stack(parts)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


class TestGrid:
    @pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 1), (3, 3), (4, 4), (5, 1)])
    def test_channels_that_can_be_shown(self, channels: int, shown: int) -> None:
        x = making.images(2, channels, 3, 3)
        assert torch.equal(displayable(x), x[:, :shown])

    def test_values_outside_the_range_are_clamped(self) -> None:
        x = torch.tensor([-1.0, 0.25, 2.0, float("nan")]).view(1, 1, 2, 2)
        assert displayable(x).flatten().tolist() == [0.0, 0.25, 1.0, 0.0]

    @pytest.mark.parametrize("gap", [0, 2])
    def test_strip_has_white_gaps_between_only(self, gap: int) -> None:
        x = 0.5 * making.images(3, 3, 4, 5)
        row = strip(x, gap)
        assert row.shape == (3, 4, 3 * 5 + 2 * gap)
        assert torch.equal(row[:, :, 5 + gap : 10 + gap], x[1])
        assert bool((row[:, :, 5 : 5 + gap] == 1).all())

    @pytest.mark.parametrize("size", [(8, 8), (28, 28), (12, 30), (200, 100)])
    def test_a_pixel_is_a_whole_number_of_dots(self, size: tuple[int, int]) -> None:
        figure = image_grid([making.images(4, 1, *size)], title="t")
        (axes,) = figure.axes
        box = axes.get_window_extent()
        height, width = np.asarray(axes.images[0].get_array()).shape[:2]
        assert box.width / width == pytest.approx(round(box.width / width), abs=1e-6)
        assert box.width / width == pytest.approx(box.height / height)
        assert 48 <= box.height <= 96 or size == (12, 30)

    def test_tile_stacks_rows(self) -> None:
        rows = [0.5 * making.images(3, 4, 5, 5, seed=n) for n in (1, 2)]
        picture = tile(rows)
        assert picture.shape == (3, 2 * 6 + 1, 3 * 6 + 1)
        assert torch.equal(picture[:, 7:12, 13:18], rows[1][2, :3])


class TestSpread:
    @pytest.mark.parametrize("count", [3, 6, 7])
    def test_classes_are_covered_evenly(self, count: int) -> None:
        labels = torch.tensor([4] * 50 + [7] * 5 + [9] * 5)
        chosen = spread(labels, 60, count, making.gen())
        counts = [int((labels[chosen] == label).sum()) for label in (4, 7, 9)]
        assert sum(counts) == count == len(chosen.unique())
        assert max(counts) - min(counts) <= 1

    def test_neighbours_differ(self) -> None:
        labels = torch.arange(40) % 4
        picked = labels[spread(labels, 40, 40, making.gen())]
        assert bool((picked[1:] != picked[:-1]).all())
        assert all(len(part.unique()) == 4 for part in picked.view(-1, 4))

    def test_an_exhausted_class_gives_way(self) -> None:
        labels = torch.tensor([0] * 9 + [1])
        assert sorted(spread(labels, 10, 10, making.gen()).tolist()) == list(range(10))

    def test_without_labels_and_by_seed(self) -> None:
        first, again, other = (spread(None, 100, 10, making.gen(seed)) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert len(first.unique()) == 10


class TestReconstructions:
    def test_rows_are_inputs_and_reconstructions(self) -> None:
        view = view_of()
        figure = Reconstructions(columns=6, rows=2)(view)
        assert len(figure.axes) == 4
        for block in (0, 2):
            x = cells(figure.axes[block], 6)[:, :1]
            found = (view.images[:, None] == x[None]).flatten(2).all(2)
            assert bool((found.sum(0) == 1).all()), "each input is one of the test images"
            index = found.int().argmax(0)
            with torch.no_grad():
                output = view.model.reconstruct(view.images[index])
            torch.testing.assert_close(
                cells(figure.axes[block + 1], 6)[:, :1], output.clamp(0, 1), atol=1e-6, rtol=0
            )
            error = (output - view.images[index]).square().mean((1, 2, 3))
            assert texts(figure.axes[block + 1])[:6] == [f"{e:.4f}" for e in error.tolist()]
        assert [texts(axes)[-1] for axes in figure.axes] == ["input", "reconstruction"] * 2

    def test_noisy_row_where_there_is_noise(self) -> None:
        view = view_of(noise=Gaussian(std=0.3))
        figure = Reconstructions(columns=4, rows=1)(view)
        assert [texts(axes)[-1] for axes in figure.axes] == ["input", "noisy", "reconstruction"]
        x, noisy = (cells(axes, 4) for axes in figure.axes[:2])
        assert 0.05 < float((noisy - x).square().mean().sqrt()) < 0.3

    def test_few_images(self) -> None:
        figure = Reconstructions(columns=10, rows=2)(view_of(3))
        assert len(cells(figure.axes[0], 3)) == 3
        assert len(figure.axes) == 2

    def test_table_is_drawn_as_lines(self) -> None:
        view = view_of(shape=(1, 1, 5))
        figure = Reconstructions(columns=4, rows=2)(view)
        assert len(figure.axes) == 8
        for axes in figure.axes:
            x, output = (torch.as_tensor(np.asarray(line.get_ydata())) for line in axes.lines)
            assert bool((view.images.flatten(1) == x).all(1).any())
            with torch.no_grad():
                expected = view.model.reconstruct(x.view(1, 1, 1, 5)).flatten()
            torch.testing.assert_close(output, expected)


class TestLatent:
    @pytest.mark.parametrize("shape", [(40, 6), (10, 30)], ids=["tall", "wide"])
    def test_principal_components_are_those_of_sklearn(self, shape: tuple[int, int]) -> None:
        codes = making.images(*shape) @ torch.diag(torch.linspace(3, 0.1, shape[1]))
        scores, shares = principal(codes, 3)
        pca = PCA(3).fit(codes.numpy())
        expected = torch.as_tensor(pca.transform(codes.numpy()))
        torch.testing.assert_close(scores.abs(), expected.abs(), atol=1e-4, rtol=1e-4)
        assert shares.tolist() == pytest.approx(pca.explained_variance_ratio_.tolist(), rel=1e-4)
        assert bool((scores.max(0).values >= -scores.min(0).values).all())

    def test_collapsed_and_small_codes(self) -> None:
        scores, shares = principal(torch.ones(5, 4), 2)
        assert not scores.any()
        assert not shares.any()
        assert principal(making.images(1, 4), 3)[0].shape == (1, 3)

    def test_points_and_labels(self) -> None:
        view = view_of()
        (axes,) = Latent(points=30)(view).axes
        points = torch.as_tensor(np.asarray(axes.collections[0].get_offsets()))
        assert points.shape == (30, 2)
        assert axes.get_xlabel().startswith("component 1 (")
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == list(NAMES)

    def test_two_dimensions_as_they_are_coloured_by_class(self) -> None:
        view = view_of(latent=making.plain(2))
        (axes,) = Latent(points=1000)(view).axes
        points = torch.as_tensor(np.asarray(axes.collections[0].get_offsets()).astype("float32"))
        colours = np.asarray(axes.collections[0].get_facecolors())
        codes = view.codes(view.images)
        order = torch.cdist(points, codes).argmin(1)
        torch.testing.assert_close(points, codes[order])
        assert view.labels is not None
        expected = np.array([to_rgb(colour) for colour in palette(3)])[view.labels[order].numpy()]
        np.testing.assert_allclose(colours[:, :3], expected)

    def test_one_dimension_is_a_histogram(self) -> None:
        values, kinds = torch.tensor([0.0, 0.0, 1.0, 2.0]), torch.tensor([0, 0, 1, 1])
        (axes,) = histogram(values, kinds, ["a", "b"]).axes
        counts = [patch.get_data().values.sum() for patch in axes.patches]
        assert counts == [2, 2, 2, 2]  # an area and an outline each
        assert Latent(points=10)(view_of(latent=making.plain(1))).axes[0].get_xlabel() == "code"

    def test_without_labels(self) -> None:
        view = view_of()
        (axes,) = Latent(points=10)(View(view.model, view.images)).axes
        assert axes.get_legend() is None
        assert len(np.unique(np.asarray(axes.collections[0].get_facecolors()), axis=0)) == 1

    @pytest.mark.parametrize("count", [1, 10, 20, 101])
    def test_colours_differ(self, count: int) -> None:
        assert len(set(palette(count))) == count


class TestSampled:
    def test_samples_are_those_of_the_model(self) -> None:
        view = view_of()
        figure = Samples(rows=2, columns=3)(view)
        with torch.no_grad():
            expected = view.model.sample(6, view.generator()).clamp(0, 1)
        drawn = torch.cat([cells(axes, 3)[:, :1] for axes in figure.axes])
        torch.testing.assert_close(drawn, expected)

    def test_interpolations_lead_from_image_to_image(self) -> None:
        view = view_of()
        figure = Interpolations(rows=3, steps=5)(view)
        assert len(figure.axes) == 3
        assert view.labels is not None
        for axes in figure.axes:
            row = cells(axes, 7)[:, :1]
            index = [int((view.images == end).flatten(1).all(1).int().argmax()) for end in row]
            a, b = index[0], index[-1]
            assert torch.equal(view.images[[a, b]], row[[0, -1]])
            assert view.labels[a] != view.labels[b]
            with torch.no_grad():
                ends = view.model.reconstruct(view.images[[a, b]]).clamp(0, 1)
                codes = view.model.encode(view.images[[a, b]]).mean
                middle = view.model.decode(codes.mean(0, keepdim=True)).clamp(0, 1)
            expected = torch.cat([ends[:1], middle, ends[1:]])
            torch.testing.assert_close(row[[1, 3, 5]], expected, atol=1e-6, rtol=0)
            assert len(axes.patches) == 2
        assert texts(figure.axes[0]) == ["image", "0", "0.25", "0.5", "0.75", "1", "image"]

    def test_blend(self) -> None:
        line = blend(torch.zeros(2, 1), torch.tensor([[2.0], [4.0]]), 3)
        assert line.flatten(1).tolist() == [[0, 0], [1, 2], [2, 4]]

    @pytest.mark.parametrize(
        "figure", [Samples(rows=1, columns=2), Interpolations(rows=1, steps=3)]
    )
    def test_where_they_do_not_apply(self, figure: Picture) -> None:
        with pytest.raises(NotApplicable, match="cannot be sampled"):
            figure(view_of(latent=making.plain(3)))
        with pytest.raises(NotApplicable, match="table"):
            figure(view_of(shape=(1, 1, 5)))

    def test_one_image_has_no_pair(self) -> None:
        with pytest.raises(NotApplicable, match="only one image"):
            Interpolations(rows=1, steps=3)(view_of(1))


class TestCurves:
    def test_lines_are_the_history(self) -> None:
        figure = Curves()(view_of())
        loss, kl = figure.axes
        assert [axes.get_title(loc="left") for axes in (loss, kl)] == ["loss", "kl"]
        lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in loss.lines}
        assert lines == {"train": [[1, 100], [2, 10]], "val": [[1, 50], [2, 5]]}
        assert (loss.get_yscale(), kl.get_yscale()) == ("log", "linear")

    def test_order_gaps_and_weighted_terms(self) -> None:
        rows: list[dict[str, float]] = [
            {"epoch": 0, "lr": 1, "train/kl": 1, "train/kl_weighted": 0.5, "train/loss": 2},
            {"epoch": 1, "train/kl": float("nan"), "train/kl_weighted": 0.5, "train/loss": 1},
        ]
        terms = by_term(rows)
        assert list(terms) == ["loss", "kl", "kl_weighted"]
        assert terms["kl"] == {"train": ([0], [1])}
        assert list(by_term(HISTORY)) == ["loss", "kl"]

    def test_without_history(self) -> None:
        view = view_of()
        with pytest.raises(NotApplicable, match="no training history"):
            Curves()(View(view.model, view.images))


class TestDraw:
    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 30), (4, 9, 9), (2, 5, 5), (1, 1, 6)])
    def test_every_figure_of_conf_twice_the_same_bytes(
        self, shape: tuple[int, int, int], tmp_path: Path
    ) -> None:
        view = view_of(shape=shape)
        figures = {name: build(node, name, Picture) for name, node in NODES.items()}
        skipped = [draw(figures, view, tmp_path / folder) for folder in "ab"]
        assert skipped[0] == skipped[1]
        assert set(skipped[0]) == (
            {"samples", "interpolations", "strip"} if view.is_table else set()
        )
        files = [sorted((tmp_path / folder).iterdir()) for folder in "ab"]
        names = [f"{name}.png" for name in sorted(set(NODES) - set(skipped[0]))]
        assert [path.name for path in files[0]] == names
        for one, other in zip(*files, strict=True):
            assert one.read_bytes() == other.read_bytes()
            assert one.stat().st_size < 300_000
            pixels = plt.imread(one)
            assert pixels.std() > 0.01, "an empty page"
        assert plt.get_fignums() == []

    def test_a_failure_leaves_the_older_file(self, tmp_path: Path) -> None:
        class Broken(Picture):
            def __call__(self, view: View) -> Figure:
                figure = Samples(rows=1, columns=2)(view)
                figure.text(0, 0, "$\\undefined$")
                return figure

        (tmp_path / "x.png").write_bytes(b"older")
        with pytest.raises(ValueError, match="undefined"):
            draw({"x": Broken()}, view_of(), tmp_path)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
            ("x.png", b"older")
        ]

    def test_wrong_values_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            Samples(rows=0, columns=2)
        with pytest.raises(ValidationError):
            Latent(points="many")  # type: ignore[arg-type]

    def test_conf_holds_one_file_a_figure(self) -> None:
        for path in CONF.glob("*.yaml"):
            text = path.read_text()
            assert text.startswith("# ")
            node = yaml.safe_load(text)
            if path.stem == "default":
                assert set(node["defaults"]) == set(NODES)
            else:
                assert list(node) == ([] if path.stem == "none" else [path.stem])
