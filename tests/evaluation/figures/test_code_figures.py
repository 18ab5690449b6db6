"""TrialFigures of codes: traversals, animations, codes, feature maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aecore.errors import SkippedError
from aecore.evaluation.figures.animation import Animation
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.code_correlation import CodeCorrelation, correlation
from aecore.evaluation.figures.codes import Codes
from aecore.evaluation.figures.dimensions import dimensions
from aecore.evaluation.figures.draw import draw_figures
from aecore.evaluation.figures.feature_maps import FeatureMaps
from aecore.evaluation.figures.heat import arranged, centred, enlarged
from aecore.evaluation.figures.interpolation_gif import InterpolationGif, pairs
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.figures.traversals import Traversals, moved
from aecore.evaluation.trial import Trial
from aecore.model.latents.deterministic import Spatial
from helpers import models as making
from helpers.experiments import (
    convolutional,
    row,
    texts,
    title,
    trial_of,
)

pytestmark = pytest.mark.filterwarnings("error")


class TestTraversals:
    def test_dimensions_are_ordered_by_kl_or_variance(self) -> None:
        trial = trial_of(latent=making.gaussian(4))
        with torch.no_grad():
            found, code = dimensions(trial), trial.model.encode(trial.images.images)
        assert code.posterior is not None
        kl = code.posterior.kl_standard().mean(0)
        assert found.order.tolist() == kl.argsort(descending=True).tolist()
        plain = trial_of(latent=making.plain(4))
        with torch.no_grad():
            found, codes = dimensions(plain), plain.codes()
        order = np.argsort(-codes.numpy().var(0))
        assert (found.kind, found.order.tolist()) == ("variance", order.tolist())

    def test_rows_are_decoded_codes(self) -> None:
        trial = trial_of(latent=making.gaussian(4))
        figure = Traversals(dims=2, steps=5, span=2.0, start="zero")(trial)
        assert len(figure.axes) == 2
        with torch.no_grad():
            order = dimensions(trial).order
            for axes, d in zip(figure.axes, order.tolist(), strict=False):
                z = torch.zeros(5, 4)
                z[:, d] = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
                expected = trial.model.decode(z).clamp(0, 1)
                torch.testing.assert_close(row(axes, 5)[:, :1], expected, atol=1e-6, rtol=0)
                assert texts(axes)[0].startswith(f"z{d + 1} ")
        assert texts(figure.axes[0])[1:] == ["-2", "-1", "0", "1", "2"]

    def test_around_an_image_by_the_spread_of_the_codes(self) -> None:
        trial = trial_of()
        figure = Traversals(dims=1, steps=3, span=1.0, start="image")(trial)
        with torch.no_grad():
            codes = trial.codes()
            d = int(codes.var(0).argmax())
            mean, std = codes[:, d].mean(), codes[:, d].std(correction=0)
            values = torch.stack([mean - std, mean, mean + std])
            fits = [
                torch.allclose(
                    trial.model.decode(moved(code, d, values)).clamp(0, 1),
                    row(figure.axes[0], 3)[:, :1],
                    atol=1e-5,
                )
                for code in codes
            ]
        assert sum(fits) == 1, "the others stay those of one test image"

    def test_correlation_is_that_of_numpy(self) -> None:
        codes = making.images(30, 4) @ making.images(4, 4, seed=1)
        expected = torch.as_tensor(np.corrcoef(codes.numpy().T)).float()
        torch.testing.assert_close(correlation(codes, 0.0), expected, atol=1e-5, rtol=0)
        codes[:, 2] = 7.0
        matrix = correlation(codes, 0.0)
        assert bool(matrix[2].isnan().all())
        assert not matrix[[0, 1, 3]][:, [0, 1, 3]].isnan().any()
        codes[:, 1] *= 1e-3
        assert bool(correlation(codes, 0.01)[1].isnan().all())

    def test_correlation_figure(self) -> None:
        trial = trial_of(latent=making.plain(4))
        figure = CodeCorrelation(dims=3)(trial)
        with torch.no_grad():
            codes = trial.codes()[:, dimensions(trial).order[:3]]
        drawn = np.asarray(figure.axes[0].images[0].get_array())
        np.testing.assert_allclose(drawn, np.corrcoef(codes.numpy().T), atol=1e-5)
        apart = np.abs(drawn[~np.eye(3, dtype=bool)]).mean()
        shown = figure.axes[0].get_title(loc="left")
        assert shown.startswith("Correlation of 3 of 4") and shown.endswith(f"{apart:.2f}")
        with pytest.raises(SkippedError, match="one dimension"):
            CodeCorrelation(dims=3)(trial_of(latent=making.plain(1)))
        with pytest.raises(SkippedError, match="only one image"):
            CodeCorrelation(dims=3)(trial_of(1))


class TestAnimation:
    def figure(self, **changes: int) -> InterpolationGif:
        values = {"rows": 2, "columns": 3, "steps": 4, "side": 4, "duration": 50}
        return InterpolationGif(**(values | changes))

    def test_frames_lead_there_and_back(self, tmp_path: Path) -> None:
        trial = trial_of()
        drawn = self.figure()(trial)
        assert drawn.frames.shape[0] == 6
        with torch.no_grad():
            codes = pairs(trial, 6).codes().view(6, 2, *trial.model.code_shape)
            one, other = codes.unbind(1)
            ends = [trial.model.decode(codes).clamp(0, 1) for codes in (one, other)]
        for frame, images in ((drawn.frames[0], ends[0]), (drawn.frames[3], ends[1])):
            cells = [frame[1 + 5 * r : 5 + 5 * r, 1 + 5 * c : 5 + 5 * c]
                     for r in range(2) for c in range(3)]  # fmt: skip
            expected = (images[:, 0] * 255).round().to(torch.uint8).numpy()
            assert np.array_equal(np.stack(cells), expected)
        assert np.array_equal(drawn.frames[1:3], drawn.frames[:3:-1])
        with torch.no_grad():
            nearest_images = torch.cdist(one.flatten(1), trial.codes()).amin(1)
        assert float(nearest_images.max()) < 1e-3, "the ends are codes of test images"

    def test_file_holds_the_frames(self, tmp_path: Path) -> None:
        trial = trial_of()
        drawn = self.figure()(trial)
        draw_figures({"interpolation_gif": self.figure(), "other": self.figure()}, trial, tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["interpolation.gif", "other.gif"]
        with Image.open(tmp_path / "interpolation.gif") as image:
            assert (image.n_frames, image.info["duration"], image.info["loop"]) == (6, 50, 0)
            for n, frame in enumerate(drawn.frames):
                image.seek(n)
                assert np.array_equal(np.asarray(image.convert("L")), frame), "grey is exact"

    def test_colours_share_a_palette(self, tmp_path: Path) -> None:
        trial = trial_of(shape=(3, 8, 8))
        drawn = self.figure(side=8)(trial)
        assert drawn.frames.shape[-1] == 3
        drawn.save(tmp_path / "x.gif")
        with Image.open(tmp_path / "x.gif") as image:
            assert image.n_frames == 6
            found = np.asarray(image.convert("RGB")).astype(float)
        assert np.abs(found - drawn.frames[0]).mean() < 6

    def test_pairs_are_of_different_images(self) -> None:
        with torch.no_grad():
            one, other = pairs(trial_of(2), 20).codes().view(20, 2, -1).unbind(1)
        assert bool((one != other).any(1).all())
        assert len(one.unique(dim=0)) == 2

    def test_one_step_is_one_frame(self) -> None:
        assert len(self.figure(steps=1)(trial_of()).frames) == 1

    def test_where_it_does_not_apply(self) -> None:
        with pytest.raises(SkippedError, match="only one image"):
            self.figure()(trial_of(1))
        with pytest.raises(SkippedError, match="table"):
            self.figure()(trial_of(shape=(1, 1, 5)))

    def test_a_failure_leaves_the_older_file(self, tmp_path: Path) -> None:
        class Broken(TrialFigure):
            def __call__(self, trial: Trial) -> Animation:
                return Animation(np.zeros((2, 3, 4, 5), np.uint8), 50)

        (tmp_path / "x.gif").write_bytes(b"older")
        with pytest.raises(TypeError):
            draw_figures({"x_gif": Broken()}, trial_of(), tmp_path)
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.gif", b"older")]


class TestCodes:
    def test_pictures_and_title(self) -> None:
        trial = trial_of(latent=making.plain(5, activation="relu"))
        figure = Codes(columns=3, threshold=0.1)(trial)
        with torch.no_grad():
            codes = trial.codes()
        limit = float(codes[:3].max())
        pictures = torch.stack([arranged(code) for code in codes[:3]])
        expected = centred(Scale(limit, signed=False).colours(pictures))
        torch.testing.assert_close(row(figure.axes[1], 3), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(row(figure.axes[0], 3), centred(trial.images.images[:3]))
        active = 100 * float((codes > 0.1).float().mean())
        assert f"{active:.1f} % active" in title(figure)
        assert title(figure).endswith(f"mean |z| {codes.mean():.3g}")

    def test_tables_have_codes_without_images(self) -> None:
        figure = Codes(columns=3, threshold=0.1)(trial_of(shape=(1, 1, 5)))
        assert [texts(axes) for axes in figure.axes] == [["code"], []]

    def test_huge_codes_are_left_out(self) -> None:
        spatial = Spatial(channels=160, activation=None)
        trial = trial_of(2, (1, 16, 16), network=making.conv(4), latent=spatial)
        with pytest.raises(SkippedError, match="too large for a small image"):
            Codes(columns=3, threshold=0.1)(trial)


def test_maps_of_other_proportions_fit_beside_the_image() -> None:
    spatial = Spatial(channels=None, activation=None)
    trial = trial_of(4, (3, 9, 7), network=making.conv(4), latent=spatial)
    figure = FeatureMaps(images=2, maps=4)(trial)
    assert row(figure.axes[0], 5).shape == (5, 3, 90, 90)


def test_feature_maps_are_the_first_convolution_activated() -> None:
    trial = convolutional()
    figure = FeatureMaps(images=2, maps=3)(trial)
    convolution = trial.model.encoder[0]  # type: ignore[index]
    with torch.no_grad():
        maps = convolution(trial.images.images[:2]).tanh()[:, :3]
    limit = float(maps.abs().max())
    for axes, image, each in zip(figure.axes, trial.images.images, maps, strict=False):
        torch.testing.assert_close(row(axes, 4)[:1], enlarged(image[None]))
        expected = enlarged(Scale(limit).colours(each))
        # a strided convolution's maps are smaller than the image and drawn as large
        assert expected.shape == row(axes, 4)[1:].shape
        torch.testing.assert_close(row(axes, 4)[1:], expected, atol=1e-5, rtol=0)
    assert title(figure).endswith("3 of 4 maps")
