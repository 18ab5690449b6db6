"""What each figure shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from sklearn.decomposition import PCA
from torch import Tensor

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.curves import Curves, by_term
from aecore.evaluation.figures.denoised import Denoised
from aecore.evaluation.figures.interpolations import Interpolations, blend
from aecore.evaluation.figures.latent import LatentScatter, histogram, project
from aecore.evaluation.figures.reconstructions import Reconstructions
from aecore.evaluation.figures.samples import Samples
from aecore.evaluation.figures.scale import palette
from aecore.evaluation.trial import Trial
from aecore.model.noise.noises import GaussianNoise
from helpers import models as making
from helpers.figures import HISTORY, NAMES, trial_of

pytestmark = pytest.mark.filterwarnings("error")


def cells(axes: Axes, count: int) -> Tensor:
    """The images of a row as they were drawn, (count, 3, H, W) without the gaps."""
    drawn = torch.as_tensor(np.asarray(axes.images[0].get_array())).permute(2, 0, 1)
    gap = (drawn.shape[2] - count * drawn.shape[1]) // (count - 1)
    height = drawn.shape[1]
    parts = [drawn[:, :, n * (height + gap) : n * (height + gap) + height] for n in range(count)]
    return torch.stack(parts)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


class TestReconstructions:
    def test_rows_are_inputs_and_reconstructions(self) -> None:
        trial = trial_of()
        figure = Reconstructions(columns=6, rows=2)(trial)
        assert len(figure.axes) == 4
        for block in (0, 2):
            x = cells(figure.axes[block], 6)[:, :1]
            found = (trial.images.images[:, None] == x[None]).flatten(2).all(2)
            assert bool((found.sum(0) == 1).all()), "each input is one of the test images"
            index = found.int().argmax(0)
            with torch.no_grad():
                output = trial.model.reconstruct(trial.images.images[index])
            torch.testing.assert_close(
                cells(figure.axes[block + 1], 6)[:, :1], output.clamp(0, 1), atol=1e-6, rtol=0
            )
            error = (output - trial.images.images[index]).square().mean((1, 2, 3))
            assert texts(figure.axes[block + 1])[:6] == [f"{e:.4f}" for e in error.tolist()]
        assert [texts(axes)[-1] for axes in figure.axes] == ["input", "reconstruction"] * 2

    def test_denoised_is_what_comes_of_the_noisy(self) -> None:
        trial = trial_of(noise=GaussianNoise(std=0.3))
        figure = Denoised(columns=4, rows=1)(trial)
        assert [texts(axes)[-1] for axes in figure.axes] == ["clean", "noisy", "denoised"]
        x, noisy, cleaned = (cells(axes, 4)[:, :1] for axes in figure.axes)
        assert 0.05 < float((noisy - x).square().mean().sqrt()) < 0.3
        index = (trial.images.images[:, None] == x[None]).flatten(2).all(2).int().argmax(0)
        with torch.no_grad():
            expected = trial.model.corrupt(trial.images.images[index], trial.generator())
            output = trial.model.reconstruct(expected)
        assert torch.allclose(noisy, expected.clamp(0, 1), atol=1e-6)
        assert torch.allclose(cleaned, output.clamp(0, 1), atol=1e-6)

    def test_without_noise_nothing_is_denoised(self) -> None:
        with pytest.raises(SkippedError, match="no noise"):
            Denoised(columns=4, rows=1)(trial_of())

    def test_few_images(self) -> None:
        figure = Reconstructions(columns=10, rows=2)(trial_of(3))
        assert len(cells(figure.axes[0], 3)) == 3
        assert len(figure.axes) == 2

    def test_table_is_drawn_as_lines(self) -> None:
        trial = trial_of(shape=(1, 1, 5))
        figure = Reconstructions(columns=4, rows=2)(trial)
        assert len(figure.axes) == 8
        for axes in figure.axes:
            x, output = (torch.as_tensor(np.asarray(line.get_ydata())) for line in axes.lines)
            assert bool((trial.images.images.flatten(1) == x).all(1).any())
            with torch.no_grad():
                expected = trial.model.reconstruct(x.view(1, 1, 1, 5)).flatten()
            torch.testing.assert_close(output, expected)


class TestLatent:
    @pytest.mark.parametrize("shape", [(40, 6), (10, 30)], ids=["tall", "wide"])
    def test_principal_components_are_those_of_sklearn(self, shape: tuple[int, int]) -> None:
        codes = making.images(*shape) @ torch.diag(torch.linspace(3, 0.1, shape[1]))
        scores, shares = project(codes, 3)
        pca = PCA(3).fit(codes.numpy())
        expected = torch.as_tensor(pca.transform(codes.numpy()))
        torch.testing.assert_close(scores.abs(), expected.abs(), atol=1e-4, rtol=1e-4)
        assert shares.tolist() == pytest.approx(pca.explained_variance_ratio_.tolist(), rel=1e-4)
        assert bool((scores.max(0).values >= -scores.min(0).values).all())

    def test_collapsed_and_small_codes(self) -> None:
        scores, shares = project(torch.ones(5, 4), 2)
        assert not scores.any()
        assert not shares.any()
        assert project(making.images(1, 4), 3)[0].shape == (1, 3)

    def test_points_and_labels(self) -> None:
        trial = trial_of()
        (axes,) = LatentScatter(points=30)(trial).axes
        points = torch.as_tensor(np.asarray(axes.collections[0].get_offsets()))
        assert points.shape == (30, 2)
        assert axes.get_xlabel().startswith("principal component 1 (")
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == list(NAMES)

    def test_two_dimensions_as_they_are_coloured_by_class(self) -> None:
        trial = trial_of(latent=making.plain(2))
        (axes,) = LatentScatter(points=1000)(trial).axes
        points = torch.as_tensor(np.asarray(axes.collections[0].get_offsets()).astype("float32"))
        colours = np.asarray(axes.collections[0].get_facecolors())
        codes = trial.codes()
        order = torch.cdist(points, codes).argmin(1)
        torch.testing.assert_close(points, codes[order])
        assert trial.images.labels is not None
        expected = np.array([to_rgb(colour) for colour in palette(3)])[
            trial.images.labels[order].numpy()
        ]
        np.testing.assert_allclose(colours[:, :3], expected)

    def test_one_dimension_is_a_histogram(self) -> None:
        values, kinds = torch.tensor([0.0, 0.0, 1.0, 2.0]), torch.tensor([0, 0, 1, 1])
        (axes,) = histogram(values, kinds, ["a", "b"], "codes").axes
        counts = [patch.get_data().values.sum() for patch in axes.patches]
        assert counts == [2, 2, 2, 2]  # an area and an outline each
        assert (
            LatentScatter(points=10)(trial_of(latent=making.plain(1))).axes[0].get_xlabel()
            == "code"
        )

    def test_without_labels(self) -> None:
        trial = trial_of()
        (axes,) = LatentScatter(points=10)(Trial(trial.model, Split(trial.images.images))).axes
        assert axes.get_legend() is None
        assert len(np.unique(np.asarray(axes.collections[0].get_facecolors()), axis=0)) == 1

    @pytest.mark.parametrize("count", [1, 10, 20, 101])
    def test_colours_differ(self, count: int) -> None:
        assert len(set(palette(count))) == count


class TestSampled:
    def test_samples_are_those_of_the_model(self) -> None:
        trial = trial_of()
        figure = Samples(rows=2, columns=3)(trial)
        with torch.no_grad():
            expected = trial.model.sample(6, trial.generator()).clamp(0, 1)
        drawn = torch.cat([cells(axes, 3)[:, :1] for axes in figure.axes])
        torch.testing.assert_close(drawn, expected)

    def test_interpolations_lead_from_image_to_image(self) -> None:
        trial = trial_of()
        figure = Interpolations(rows=3, steps=5)(trial)
        assert len(figure.axes) == 3
        assert trial.images.labels is not None
        for axes in figure.axes:
            row = cells(axes, 7)[:, :1]
            index = [
                int((trial.images.images == end).flatten(1).all(1).int().argmax()) for end in row
            ]
            a, b = index[0], index[-1]
            assert torch.equal(trial.images.images[[a, b]], row[[0, -1]])
            assert trial.images.labels[a] != trial.images.labels[b]
            with torch.no_grad():
                ends = trial.model.reconstruct(trial.images.images[[a, b]]).clamp(0, 1)
                codes = trial.model.encode(trial.images.images[[a, b]]).mean
                middle = trial.model.decode(codes.mean(0, keepdim=True)).clamp(0, 1)
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
    def test_where_they_do_not_apply(self, figure: TrialFigure) -> None:
        with pytest.raises(SkippedError, match="cannot be sampled"):
            figure(trial_of(latent=making.plain(3)))
        with pytest.raises(SkippedError, match="table"):
            figure(trial_of(shape=(1, 1, 5)))

    def test_one_image_has_no_pair(self) -> None:
        with pytest.raises(SkippedError, match="only one image"):
            Interpolations(rows=1, steps=3)(trial_of(1))


class TestCurves:
    def test_lines_are_the_history(self) -> None:
        figure = Curves()(trial_of())
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
        trial = trial_of()
        with pytest.raises(SkippedError, match="no training history"):
            Curves()(Trial(trial.model, Split(trial.images.images)))
