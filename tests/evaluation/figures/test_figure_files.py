"""What figures are made of, and the files that they become."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from pydantic import ValidationError

from aecore.config.build import build
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.draw import draw_figures, save
from aecore.evaluation.figures.grid import displayable, image_grid, strip, tile
from aecore.evaluation.figures.latent import LatentScatter
from aecore.evaluation.figures.samples import Samples
from aecore.evaluation.selection import balanced
from aecore.evaluation.trial import Trial
from helpers import models as making
from helpers.figures import trial_of

pytestmark = pytest.mark.filterwarnings("error")

CONF = Path(__file__).parents[3] / "conf" / "figures"
DEFAULT = yaml.safe_load((CONF / "default.yaml").read_text())["defaults"]
NODES = {
    name: node
    for path in sorted(CONF.glob("*.yaml"))
    for name, node in (yaml.safe_load(path.read_text()) or {}).items()
    if "_target_" in node
}


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

    def test_captions_may_be_any_file_name(self, tmp_path: Path) -> None:
        names = ["a\nb\t.png", "$x_$y$", "\u65e5\u672c", "\udcff"]
        figure = image_grid([making.images(4, 1, 8, 8)], title="t", captions=[names])
        shown = [text.get_text() for text in figure.axes[0].texts]
        assert shown == ["a b .png", "$x_$y$", "\u65e5\u672c", " "]
        assert save(figure, tmp_path, "picture").stat().st_size > 500

    @pytest.mark.parametrize("size", [(64, 64), (96, 40), (8, 8)])
    def test_long_captions_do_not_overlap(self, size: tuple[int, int]) -> None:
        names = [f"scratch/defective_{n:03}.png" for n in range(24)]
        rows = list(making.images(24, 1, *size).split(8))
        captions = [names[n : n + 8] for n in (0, 8, 16)]
        figure = image_grid(rows, title="t", captions=captions)
        for axes, given in zip(figure.axes, captions, strict=True):
            boxes = [text.get_window_extent() for text in axes.texts]
            assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
            shown = [text.get_text().removeprefix("…") for text in axes.texts]
            assert all(map(str.endswith, given, shown)) and len(set(shown)) == 8

    def test_tile_stacks_rows(self) -> None:
        rows = [0.5 * making.images(3, 4, 5, 5, seed=n) for n in (1, 2)]
        picture = tile(rows)
        assert picture.shape == (3, 2 * 6 + 1, 3 * 6 + 1)
        assert torch.equal(picture[:, 7:12, 13:18], rows[1][2, :3])


class TestSpread:
    @pytest.mark.parametrize("count", [3, 6, 7])
    def test_classes_are_covered_evenly(self, count: int) -> None:
        labels = torch.tensor([4] * 50 + [7] * 5 + [9] * 5)
        chosen = balanced(labels, 60, count, making.gen())
        counts = [int((labels[chosen] == label).sum()) for label in (4, 7, 9)]
        assert sum(counts) == count == len(chosen.unique())
        assert max(counts) - min(counts) <= 1

    def test_neighbours_differ(self) -> None:
        labels = torch.arange(40) % 4
        picked = labels[balanced(labels, 40, 40, making.gen())]
        assert bool((picked[1:] != picked[:-1]).all())
        assert all(len(part.unique()) == 4 for part in picked.view(-1, 4))

    def test_an_exhausted_class_gives_way(self) -> None:
        labels = torch.tensor([0] * 9 + [1])
        assert sorted(balanced(labels, 10, 10, making.gen()).tolist()) == list(range(10))

    def test_without_labels_and_by_seed(self) -> None:
        first, again, other = (balanced(None, 100, 10, making.gen(seed)) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert len(first.unique()) == 10


class TestDraw:
    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 30), (4, 9, 9), (2, 5, 5), (1, 1, 6)])
    def test_every_default_figure_is_a_small_file(
        self, shape: tuple[int, int, int], tmp_path: Path
    ) -> None:
        trial = trial_of(shape=shape)
        figures = {name: build(NODES[name], name, TrialFigure) for name in DEFAULT}
        skipped = draw_figures(figures, trial, tmp_path)
        assert set(skipped) == (
            {"samples", "interpolations", "strip", "denoised"} if trial.is_table else {"denoised"}
        )
        files = sorted(tmp_path.iterdir())
        names = [f"{name}.png" for name in sorted(set(DEFAULT) - set(skipped))]
        assert [path.name for path in files] == names
        for file in files:
            assert file.stat().st_size < 300_000
            assert plt.imread(file).std() > 0.01, "an empty page"
        assert plt.get_fignums() == []

    def test_a_failure_leaves_the_older_file(self, tmp_path: Path) -> None:
        class Broken(TrialFigure):
            def __call__(self, trial: Trial) -> Figure:
                figure = Samples(rows=1, columns=2)(trial)
                figure.text(0, 0, "$\\undefined$")
                return figure

        (tmp_path / "x.png").write_bytes(b"older")
        with pytest.raises(ValueError, match="undefined"):
            draw_figures({"x": Broken()}, trial_of(), tmp_path)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
            ("x.png", b"older")
        ]

    def test_wrong_values_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            Samples(rows=0, columns=2)
        with pytest.raises(ValidationError):
            LatentScatter(points="many")  # type: ignore[arg-type]

    def test_conf_holds_one_file_a_figure(self) -> None:
        for path in CONF.glob("*.yaml"):
            text = path.read_text()
            assert text.startswith("# ")
            node = yaml.safe_load(text)
            if path.stem == "default":
                assert set(node["defaults"]) <= set(NODES)
            elif path.stem != "none":
                (name,) = set(node) - {"defaults"}
                assert path.stem == name or node["defaults"] == [name]
