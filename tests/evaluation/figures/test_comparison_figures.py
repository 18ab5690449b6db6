"""What is drawn of several runs in one figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from aecore.compare.trials import Trials
from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.figures.curves import Curves
from aecore.evaluation.figures.denoised import Denoised
from aecore.evaluation.figures.error_distribution import ErrorDistribution
from aecore.evaluation.figures.kernels import Kernels
from aecore.evaluation.figures.ood import OodFigure
from aecore.evaluation.figures.reconstructions import Reconstructions
from aecore.evaluation.figures.robustness import Robustness
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.metrics.activity import layer_batches
from aecore.evaluation.trial import Trial
from aecore.model.layers import dead_units
from aecore.model.noise.base import Noise
from aecore.model.noise.noises import Dropout, GaussianNoise
from aecore.model.penalties.l2 import CodeL2
from helpers import models as making
from helpers.experiments import convolutional, trial_of
from helpers.experiments import row as drawn_row
from helpers.models import linear, plain
from helpers.sweeps import NAMES, sweep_of_three


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over three code sizes; not to be changed."""
    return sweep_of_three(tmp_path_factory.mktemp("swept") / "sweep")


def opened(sweep: Path) -> Trials:
    return Trials({name: sweep / str(n) for n, name in enumerate(NAMES)})


@pytest.fixture(scope="module")
def trials(swept: Path) -> Trials:
    """Its runs; not to be changed."""
    return opened(swept)


def row(axes: Axes, count: int, side: int, gap: int = 1) -> torch.Tensor:
    """The grey images (count, 1, side, side) of a row as they were drawn."""
    drawn = np.asarray(axes.images[0].get_array())[..., 0]
    cells = [drawn[:, n * (side + gap) :][:, :side] for n in range(count)]
    return torch.from_numpy(np.stack(cells)).unsqueeze(1)


def test_curves_of_all_runs_are_in_one_plot(trials: Trials) -> None:
    (axes,) = curves(trials).axes
    assert len(axes.lines) == 6
    for name, trial in trials.items():
        for split, style in (("train", "-"), ("val", "--")):
            (line,) = [one for one in axes.lines if one.get_label() == f"{name}, {split}"]
            assert list(line.get_ydata()) == [row[f"{split}/loss"] for row in trial.history]
            assert line.get_linestyle() == style
    assert len({to_hex(line.get_color()) for line in axes.lines}) == 3


def test_curves_of_other_objectives_say_so(trials: Trials) -> None:
    assert curves(trials).axes[0].get_title("left") == "Loss per image"
    other = making.model(penalties={"code_l2": CodeL2()})
    mixed = {NAMES[0]: trials[NAMES[0]], "other": replace(trials[NAMES[1]], model=other)}
    title = curves(mixed).axes[0].get_title("left")
    assert title == "Loss per image, of different objectives: levels are not comparable"


def curves(trials: Mapping[str, Trial]) -> Figure:
    figure = Curves().draw_runs(trials)
    told = [text.get_text() for text in figure.legends[0].texts]
    assert told == [*trials, "train", "validation"]
    return figure


def test_the_same_images_stand_above_a_row_for_each_run(trials: Trials) -> None:
    figure = Reconstructions(columns=6, rows=2).draw_runs(trials)
    x, *rows = (row(axes, 6, 8) for axes in figure.axes)
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert labels[0] == "input"
    for trial, found, label, name in zip(trials.values(), rows, labels[1:], NAMES, strict=True):
        with torch.no_grad():
            output = trial.model.reconstruct(x)
        assert torch.allclose(found, output.clamp(0, 1), atol=1e-6)
        assert label == f"{name}\nmse {float((output - x).square().mean()):.4f}"


@pytest.mark.parametrize(
    ("noises", "expected"),
    [
        ((GaussianNoise(std=0.3), GaussianNoise(std=0.3)), ["clean", "noisy", "a", "b"]),
        ((GaussianNoise(std=0.3), Dropout(p=0.5)), ["clean", "noisy", "a", "noisy", "b"]),
    ],
)
def test_equal_noise_is_shown_once_other_above_its_run(
    noises: tuple[Noise, Noise], expected: list[str]
) -> None:
    made = [replace(trial_of(noise=noise), noise=noise) for noise in noises]
    figure = Denoised(columns=5, rows=1).draw_runs(dict(zip("ab", made, strict=True)))
    labels = [axes.texts[0].get_text().partition("\nmse")[0] for axes in figure.axes]
    assert labels == expected
    x, *others = (row(axes, 5, 4) for axes in figure.axes)
    last = made[-1]
    noisy = others[max(n for n, told in enumerate(labels[1:]) if told == "noisy")]
    expected_noise = last.model.corrupt(x, last.generator())
    assert torch.allclose(noisy, expected_noise.clamp(0, 1), atol=1e-6)
    with torch.no_grad():
        cleaned = last.model.reconstruct(expected_noise).clamp(0, 1)
    assert torch.allclose(others[-1], cleaned, atol=1e-6)


def test_filters_are_on_one_scale_and_the_dead_counted_by_run(swept: Path) -> None:
    trials = opened(swept)  # of its own: the weights are changed
    weights = [trial.model.encoder.state_dict() for trial in trials.values()]
    matrices = [next(w for w in state.values() if w.dim() == 2) for state in weights]
    matrices[1][0] = 0  # a dead unit
    next(v for k, v in weights[1].items() if v.dim() == 1)[0] = 0
    matrices[2][0, 0] = -3.0  # what the scale is of
    figure = Kernels(side="encoder", count=64, columns=16).draw_runs(trials)
    *rows, bar = figure.axes
    assert bar.get_ylim() == (-3.0, 3.0)
    runs = zip(rows, matrices, trials.items(), strict=True)
    for axes, matrix, (name, trial) in runs:
        drawn = drawn_row(axes, 8)
        expected = Scale(3.0).colours(matrix.view(8, 8, 8))
        assert torch.allclose(drawn[:, :, 6::12, 6::12], expected, atol=1e-6)
        dead = int(dead_units(layers[0].output for layers in layer_batches(trial)).sum())
        assert axes.texts[0].get_text() == f"{name}\n8 units, {dead} dead"
    assert "0 dead" not in rows[1].texts[0].get_text()


def test_robustness_has_the_curve_of_each_run_alone(trials: Trials) -> None:
    picture = Robustness(kind="gaussian", largest=0.5, levels=3, images=50)
    (axes,) = picture.draw_runs(trials).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert list(lines) == ["noisy input", *trials]
    for name, trial in trials.items():
        (alone,) = picture(trial).axes
        single = {line.get_label(): list(line.get_ydata()) for line in alone.lines}
        assert lines[name] == single["reconstruction"]
        assert lines["noisy input"] == single["noisy input"]


def test_runs_on_other_images_are_not_drawn_jointly(trials: Trials) -> None:
    first, second = list(trials.values())[:2]
    fewer = second.at(torch.arange(1, len(second)))
    mixed = {"all": first, "fewer": fewer}
    for picture in (
        Reconstructions(columns=4, rows=1),
        Robustness(kind="gaussian", largest=0.5, levels=2, images=5),
    ):
        with pytest.raises(SkippedError, match="different images"):
            picture.draw_runs(mixed)
    assert curves(mixed)


def test_filters_of_other_sizes_share_the_scale_and_tables_have_none() -> None:
    shown = {
        "small": trial_of(20, (1, 4, 4)),
        "large": trial_of(20, (1, 8, 8), network=linear(), latent=plain(5)),
        "maps": convolutional(),
        "table": trial_of(20, (1, 1, 6)),
    }
    kernels = Kernels(side="encoder", count=4, columns=4)
    figure = kernels.draw_runs(shown)
    *rows, _ = figure.axes
    assert [axes.texts[0].get_text().partition("\n")[0] for axes in rows] == [*shown][:3]
    assert len({axes.images[0].get_array().shape for axes in rows}) == 1
    assert figure.texts[0].get_text().endswith("; none in table")
    with pytest.raises(SkippedError, match="fewer than two"):
        kernels.draw_runs({"small": shown["small"], "table": shown["table"]})
    coloured = trial_of(20, (3, 4, 4))
    with pytest.raises(SkippedError, match="of one kind"):
        kernels.draw_runs({"small": shown["small"], "coloured": coloured})
    both = kernels.draw_runs({"a": coloured, "b": trial_of(20, (3, 4, 4), seed=1)})
    assert [axes.images[0].get_array().shape for axes in both.axes] == [(96, 4 * 96 + 3 * 4, 3)] * 2


def test_errors_of_all_runs_are_on_one_axis(trials: Trials) -> None:
    picture = ErrorDistribution(images=50, bins=10)
    figure = picture.draw_runs(trials)
    assert [axes.get_title("left") for axes in figure.axes] == NAMES
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    drawn = [patch for axes in figure.axes for patch in axes.patches]
    assert len({tuple(patch.get_data().edges) for patch in drawn}) == 1
    for axes, trial in zip(figure.axes, trials.values(), strict=True):
        joint, alone = ([text.get_text() for text in one.get_legend().texts]
                        for one in (axes, *picture(trial).axes))  # fmt: skip
        assert joint == alone
        assert "AUROC" in joint[1]
    first, second = list(trials.values())[:2]
    other = replace(second, ood={"other": second.images})
    with pytest.raises(SkippedError, match="unknown images"):
        picture.draw_runs({"a": first, "b": other})


def test_tables_and_what_was_not_trained_are_not_drawn_jointly() -> None:
    tables = {name: trial_of(20, (1, 1, 6)) for name in "ab"}
    with pytest.raises(SkippedError, match="rows of a table"):
        Reconstructions(columns=4, rows=1).draw_runs(tables)
    with pytest.raises(SkippedError, match="history"):
        Curves().draw_runs(tables)
    assert Robustness(kind="dropout", largest=1.0, levels=2, images=5).draw_runs(tables).axes


def test_other_images_stand_above_what_each_run_makes_of_them() -> None:
    noise = making.images(9, 1, 4, 4, seed=5)
    unknown = {"noise": Split(noise), "black": Split(torch.zeros(9, 1, 4, 4))}
    trials = {name: replace(trial_of(), ood=unknown) for name in "ab"}
    figure = OodFigure(columns=5).draw_runs(trials)
    labels = [axes.texts[0].get_text().partition("\nmse")[0] for axes in figure.axes]
    assert labels == ["noise", "a", "b", "black", "a", "b"]
    x, made, *_ = (row(axes, 5, 4) for axes in figure.axes)
    assert all(any(torch.equal(one, image) for image in noise) for one in x)
    with torch.no_grad():
        expected = trials["a"].model.reconstruct(x).clamp(0, 1)
    assert torch.allclose(made, expected, atol=1e-6)
    with pytest.raises(SkippedError, match="different images"):
        OodFigure(columns=5).draw_runs(
            {**trials, "c": replace(trials["a"], ood={"noise": Split(x)})}
        )
    with pytest.raises(SkippedError, match="no other data set"):
        OodFigure(columns=5)(trial_of())
