"""Every figure for every variant: it draws, or says why not."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from aecore.config.arguments import parse
from aecore.config.build import build
from aecore.config.compose import compose
from aecore.errors import SkippedError
from aecore.evaluation.figures.activity import ActivityFigure
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.code_noise import CodeNoise
from aecore.evaluation.figures.draw import draw_figures
from aecore.evaluation.figures.kernels import Kernels
from aecore.evaluation.figures.robustness import Robustness
from aecore.evaluation.trial import Trial
from aecore.model.networks.dictionary import Shift
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment
from helpers import models as making
from helpers.experiments import (
    NODES,
    ROBUST,
    VARIANTS,
    convolutional,
    trial_of,
)

pytestmark = pytest.mark.filterwarnings("error")


def test_hidden_activity_of_known_layers() -> None:
    trial = trial_of(network=making.mlp(6, activation="relu"), latent=making.plain(3))
    layer = trial.model.encoder[1]  # type: ignore[index]
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([2.0, 4.0, -1.0, -1.0, -1.0, -1.0]))
        found = ActivityFigure(threshold=0.01).measure(trial)
        code = trial.codes()
    assert list(found) == ["encoder 1  6", "code  3", "decoder 1  6"]
    assert found["encoder 1  6"] == pytest.approx((1.0, 2 / 6))
    assert found["code  3"][0] == pytest.approx(float(code.abs().mean()), rel=1e-5)
    left, right = ActivityFigure(threshold=0.01)(trial).axes
    widths = [patch.get_width() for patch in left.patches]
    assert widths == pytest.approx([value[0] for value in found.values()][::-1])
    assert right.patches[-1].get_width() == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    "overrides",
    [*VARIANTS, ["model=conv_ae", "network=conv_unpool"]],
    ids=lambda overrides: ",".join(word.partition("=")[2] for word in overrides),
)
def test_every_variant_draws_or_says_why_not(overrides: list[str]) -> None:
    parts = build_experiment(compose(parse([*overrides, "figures=none"])).config)
    model = prepare(parts).eval()
    test = parts.data.test.subset(torch.arange(60))
    trial = Trial(model, test, read_training=lambda: parts.data.train)
    skipped = {}
    with torch.no_grad():  # as in a run
        for name, node in NODES.items():
            try:
                build(node, name, TrialFigure)(trial)
            except SkippedError as reason:
                skipped[name] = str(reason)
    expected = {}
    if not any(isinstance(part, nn.Conv2d) for part in model.encoder.modules()):
        expected["feature_maps"] = "the encoder has no convolution"
    if model.needs_context:
        reason = "this network decodes only the codes of images, no others"
        expected |= {"traversals": reason, "interpolation_gif": reason}
        expected["weight_product"] = "the model is not linear: it pools maxima"
    else:
        bent = [
            part for part in model.modules() if isinstance(part, nn.ReLU | nn.GroupNorm | Shift)
        ]
        if bent:
            name = type(bent[0]).__name__
            expected["weight_product"] = f"the model is no product of matrices: it has {name}"
    if model.classes is not None:
        reason = "the model is class-conditional, and other images have no such classes"
        expected["error_distribution"] = reason
    assert skipped == expected


@pytest.mark.parametrize("network", ["conv", "linear"])
def test_second_drawing_has_the_same_bytes(network: str, tmp_path: Path) -> None:
    trial = convolutional() if network == "conv" else trial_of(network=making.linear())
    names = NODES.keys() - {"weight_product"} if network == "conv" else {"weight_product"}
    figures = {name: build(NODES[name], name, TrialFigure) for name in sorted(names)}
    for folder in "ab":
        assert draw_figures(figures, trial, tmp_path / folder) == {}
    files = [sorted((tmp_path / folder).iterdir()) for folder in "ab"]
    assert len(files[0]) == len(figures)
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        if one.suffix == ".png":
            assert one.stat().st_size < 300_000
            assert plt.imread(one).std() > 0.01, "an empty page"
    assert plt.get_fignums() == []


@pytest.mark.parametrize("shape", [(3, 12, 10), (4, 9, 9), (1, 1, 6)])
def test_colours_and_tables(shape: tuple[int, int, int], tmp_path: Path) -> None:
    trial = trial_of(shape=shape)
    figures = {name: build(node, name, TrialFigure) for name, node in NODES.items()}
    with torch.no_grad():
        skipped = draw_figures(figures, trial, tmp_path)
    pictured = {"traversals", "interpolation_gif", "feature_maps", "code_noise", "kernels"}
    assert set(skipped) == {"weight_product"} | (pictured if trial.is_table else {"feature_maps"})
    assert all(len(reason) < 100 for reason in skipped.values())


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValidationError):
        Kernels(side="middle", count=1, columns=1)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        CodeNoise(strengths=[], images=1)
    with pytest.raises(ValidationError):
        Robustness(**(ROBUST | {"kind": "snow"}))  # type: ignore[arg-type]
