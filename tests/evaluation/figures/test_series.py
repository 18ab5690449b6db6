"""Series as pictures of lines, and images with targets in the figures that compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import to_rgb

from aecore.cli import main
from aecore.data.split import Split
from aecore.evaluation.figures.grid import displayable
from aecore.evaluation.figures.reconstructions import Reconstructions
from aecore.evaluation.figures.scale import palette
from aecore.evaluation.figures.series import line_pictures
from aecore.evaluation.figures.strip import Strip
from aecore.evaluation.trial import Trial
from helpers.experiments import texts
from helpers.figures import trial_of
from helpers.models import images


def heights(picture: torch.Tensor, channel: int) -> torch.Tensor:
    """The mean height in [0, 1] of the line of a channel, column by column."""
    colour = torch.tensor(to_rgb(palette(channel + 1)[channel]))[:, None, None]
    painted = ((picture - colour).abs().amax(0) < 1e-6).double()
    rows = torch.linspace(1, 0, len(painted), dtype=torch.float64)[:, None]
    return (painted * rows).sum(0) / painted.sum(0)


def test_a_line_for_each_channel() -> None:
    t = torch.linspace(0, 1, 300)
    series = torch.stack([t, 0.5 * torch.ones(300)])[None, :, None]
    picture = line_pictures(series)[0]
    assert torch.allclose(heights(picture, 1), torch.tensor(0.5).double(), atol=0.02)
    rising = heights(picture, 0)
    seen = ~rising.isnan()
    columns = torch.linspace(0, 1, len(rising)).double()
    assert seen.double().mean() > 0.9  # the level line lies over it where they cross
    assert torch.allclose(rising[seen], columns[seen], atol=0.03)


def test_a_peak_between_columns_is_seen() -> None:
    series = torch.zeros(1, 2, 1, 5000)
    series[0, 1, 0, 2501] = 1
    colour = torch.tensor(to_rgb(palette(2)[1]))
    assert (line_pictures(series)[0, :, 0] == colour[:, None]).all(0).any()


def test_only_series_are_drawn_as_lines() -> None:
    assert displayable(torch.zeros(2, 3, 1, 9)).shape == (2, 3, 64, 96)
    assert displayable(torch.zeros(5, 2, 2, 1, 9)).shape == (5, 2, 3, 64, 96)
    for shape in ((3, 4, 9), (1, 1, 9)):
        assert displayable(torch.zeros(2, *shape)).shape == (2, *shape)


def test_series_are_reconstructed_in_their_own_units(tmp_path: Path) -> None:
    x = 100 + 10 * images(40, 2, 12).numpy()
    np.savez(tmp_path / "x.npz", x=x)
    given = ["dataset=arrays", f"dataset.path={tmp_path}/x.npz", "dataset.layout=NCT"]
    given += ["dataset.range=standardised", "trainer.max_epochs=1", "logger=none", "figures=none"]
    assert main(["model=ae", "network=conv", *given, f"hydra.run.dir={tmp_path}/run"]) == 0
    assert main([f"run={tmp_path}/run", "task=reconstruct", f"out={tmp_path}/out"]) == 0
    made = np.load(tmp_path / "out" / "reconstructions.npz")["x"]
    assert made.shape == (4, 2, 12) and 95 < made.min() < made.max() < 115


def with_targets(shape: tuple[int, int, int]) -> Trial:
    trial = trial_of(12, shape)
    targets = images(12, *shape, seed=4)
    return trial.on(Split(trial.images.images, trial.images.labels, targets=targets))


def test_reconstructions_show_input_output_and_target() -> None:
    trial = with_targets((1, 4, 4))
    figure = Reconstructions(columns=3, rows=1)(trial)
    labels = [axes.texts[-1].get_text() for axes in figure.axes]
    assert labels == ["input", "reconstruction", "target"]
    x, y, target = trial.balanced(3).pair()
    order = trial.balanced(3).images.labels.argsort(stable=True)
    for axes, shown in zip(figure.axes, (x, trial.model.reconstruct(x, y)), strict=False):
        errors = (shown - target).square().flatten(1).mean(1)[order].tolist()
        assert [f"{error:.4f}" for error in errors] == texts(axes)[:3]
    assert len(texts(figure.axes[2])) == 1


def test_tables_with_targets_have_three_lines() -> None:
    axes = Reconstructions(columns=2, rows=1)(with_targets((1, 1, 6))).axes[0]
    assert [line.get_label() for line in axes.lines] == ["input", "reconstruction", "target"]


def test_a_strip_has_a_row_of_targets() -> None:
    plain, paired = (
        Strip(columns=3)(trial).axes[0].images[0].get_array().shape[0]
        for trial in (trial_of(12), with_targets((1, 4, 4)))
    )
    assert round(plain / 2 - 1) * 3 <= paired <= plain * 1.5 + 2
