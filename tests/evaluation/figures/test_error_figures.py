"""TrialFigures of errors: unknown images, noise, Jacobians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from aecore.data.split import Split
from aecore.evaluation.figures.code_noise import CodeNoise
from aecore.evaluation.figures.error_distribution import ErrorDistribution
from aecore.evaluation.figures.jacobian import Jacobian
from aecore.evaluation.figures.robustness import Robustness
from aecore.evaluation.metrics.manifold import nearest
from aecore.evaluation.metrics.ood import auroc
from aecore.evaluation.selection import balanced
from aecore.training.optimizers.closed_form import ClosedForm
from helpers import models as making
from helpers.experiments import (
    ROBUST,
    row,
    texts,
    trial_of,
)

pytestmark = pytest.mark.filterwarnings("error")


class TestErrors:
    def test_auroc_of_known_answers(self) -> None:
        known = torch.tensor([1.0, 2.0, 3.0])
        assert auroc(known, torch.tensor([4.0, 5.0])) == 1.0
        assert auroc(known, torch.tensor([0.0])) == 0.0
        assert auroc(known, known) == 0.5
        assert auroc(known, torch.tensor([2.5])) == pytest.approx(2 / 3)

    def test_legend_names_all_kinds(self) -> None:
        trial = replace(trial_of(), ood={"inverse": Split(1 - making.images(30, 1, 4, 4))})
        figure = ErrorDistribution(images=20, bins=10)(trial)
        legend = figure.axes[0].get_legend()
        assert legend is not None
        names = [text.get_text() for text in legend.get_texts()]
        with torch.no_grad():
            unknown = trial.ood["inverse"].images[:20]
            errors = (trial.model.reconstruct(unknown) - unknown).square().mean((1, 2, 3))
        assert [name.split(",")[0] for name in names] == [
            "test images", "uniform random", "inverse",
        ]  # fmt: skip
        counts = [patch.get_data().values for patch in figure.axes[0].patches]
        assert all(values.max() == 1 for values in counts)
        edges = figure.axes[0].patches[-1].get_data().edges
        expected, _ = np.histogram(errors.numpy(), edges)
        np.testing.assert_allclose(counts[-1], expected / expected.max())

    def test_of_a_table_is_told_in_its_words(self) -> None:
        trial = trial_of(shape=(1, 1, 5))
        noise = Robustness(**ROBUST | {"kind": "dropout"})  # type: ignore[arg-type]
        figures = [ErrorDistribution(images=20, bins=10)(trial), noise(trial)]
        told = [text.get_text() for figure in figures for text in figure.findobj(Text)]
        assert "squared error per feature" in told and "share of the features made black" in told
        assert not [text for text in told if "pixel" in text or "image" in text]

    def test_trained_errors_tell_noise_from_images(self) -> None:
        x = making.images(50, 1, 4, 4) @ torch.diag(torch.tensor([1.0, 0, 0, 0]))
        trial = replace(
            trial_of(50, network=making.linear(), latent=making.plain(8)), images=Split(x)
        )
        ClosedForm().solve(trial.model, x, 0)
        legend = ErrorDistribution(images=50, bins=10)(trial).axes[0].get_legend()
        assert legend is not None
        assert legend.get_texts()[1].get_text() == "uniform random, AUROC 1.0000"

    @pytest.mark.parametrize("kind", ["gaussian", "dropout", "salt_and_pepper"])
    def test_robustness_starts_at_the_clean_error(self, kind: str) -> None:
        trial = trial_of()
        figure = Robustness(**(ROBUST | {"kind": kind}))(trial)  # type: ignore[arg-type]
        noisy, model = (np.asarray(line.get_ydata()) for line in figure.axes[0].lines)
        with torch.no_grad():
            clean = (
                (trial.model.reconstruct(trial.images.images) - trial.images.images).square().mean()
            )
        assert model[0] == pytest.approx(float(clean), rel=1e-5)
        assert noisy[0] == 0
        assert noisy[1] < noisy[2]
        if kind == "gaussian":
            x = trial.images.images[balanced(trial.images.labels, 40, 40, trial.generator())]
            loud = x + torch.empty_like(x).normal_(generator=trial.generator())
            with torch.no_grad():
                error = (trial.model.reconstruct(loud) - x).square().mean()
            assert model[2] == pytest.approx(float(error), rel=1e-5)
            assert noisy[2] == pytest.approx(4 * noisy[1], rel=1e-5)
            assert noisy[2] == pytest.approx(1, rel=0.2)
        if kind == "dropout":
            assert noisy[2] == pytest.approx(float(trial.images.images.square().mean()), rel=1e-5)

    def test_noise_is_one_of_pixels_whatever_the_range(self) -> None:
        shift, scale = torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.1)
        trials = trial_of(), trial_of(shift=shift, scale=scale)
        lines = [Robustness(**ROBUST)(v).axes[0].lines[0] for v in trials]  # type: ignore[arg-type]
        one, other = (np.asarray(line.get_ydata()) for line in lines)
        np.testing.assert_array_equal(one, other)


class TestJacobian:
    def test_norm_of_a_linear_encoder_is_its_matrix(self) -> None:
        trial = trial_of(network=making.linear())
        norm = float(trial.model.latent.project[1].weight.detach().norm())  # type: ignore[index, union-attr]
        figure = Jacobian(images=10, bins=4, method="exact", samples=1)(trial)
        (line,) = figure.axes[0].lines
        assert np.asarray(line.get_xdata()) == pytest.approx(norm, rel=1e-5)

    @pytest.mark.parametrize("latent", [making.plain(3), making.gaussian(3)])
    def test_mean_is_that_of_autograd(self, latent: object) -> None:
        trial = trial_of(12, latent=latent)
        figure = Jacobian(images=12, bins=4, method="exact", samples=1)(trial)
        norms = []
        for x in trial.images.images:
            rows = torch.autograd.functional.jacobian(
                lambda pixels: trial.model.encode(pixels[None]).mean[0], x
            )
            norms.append(float(rows.norm()))
        (line,) = figure.axes[0].lines
        assert np.asarray(line.get_xdata()) == pytest.approx(np.mean(norms), rel=1e-4)
        assert sum(patch.get_height() for patch in figure.axes[0].patches) == 12

    def test_estimate_is_near(self) -> None:
        trial = trial_of(latent=making.plain(3))
        means = [
            float(np.asarray(figure.axes[0].lines[0].get_xdata())[0])
            for figure in (
                Jacobian(images=40, bins=4, method="exact", samples=1)(trial),
                Jacobian(images=40, bins=4, method="estimate", samples=200)(trial),
            )
        ]
        assert means[1] == pytest.approx(means[0], rel=0.05)


class TestCodeNoise:
    def test_first_column_is_without_noise_and_strength_counts(self) -> None:
        trial = trial_of()
        figure = CodeNoise(strengths=[1e-7, 3.0], images=1)(trial)
        code, pixels, cleaned = (row(axes, 3)[:, :1] for axes in figure.axes)
        index = int((trial.images.images == pixels[0]).flatten(1).all(1).int().argmax())
        with torch.no_grad():
            expected = trial.model.reconstruct(trial.images.images[index : index + 1]).clamp(0, 1)
        torch.testing.assert_close(code[:1], expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(cleaned[:1], expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(code[1], code[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(pixels[1], pixels[0], atol=1e-5, rtol=0)
        for kind in (code, pixels):
            assert float((kind[2] - kind[0]).abs().mean()) > 0.05

    def test_distance_to_the_nearest(self) -> None:
        training = making.images(30, 1, 4, 4)
        trial = replace(trial_of(), read_training=lambda: Split(training))
        images = training[[4, 9]].clone()
        images[1, 0, 0, 0] += 0.25
        torch.testing.assert_close(nearest(images, trial), torch.tensor([0.0, 0.25]))
        trial = trial_of()
        figure = CodeNoise(strengths=[1.0], images=2)(trial)
        assert len(figure.axes) == 6
        assert texts(figure.axes[1])[0] == "0.00", "a training image itself"
