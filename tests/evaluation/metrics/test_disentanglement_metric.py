"""The word `disentanglement`: of which models and images it tells, and in a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from aecore.cli import main
from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.disentangled.disentanglement import Disentanglement
from aecore.evaluation.trial import Trial
from aecore.model.latents.deterministic import Spatial
from helpers.models import conv, linear, model, plain
from helpers.trials import trial

KEYS = {
    "mig", "modularity", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness",
    "factor_vae_score",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def word(**changes: Any) -> Disentanglement:
    values: dict[str, Any] = {
        "images": 600, "bins": 20, "active": 0.05, "trees": 3, "leaf": 5, "votes": 50, "group": 16,
    }  # fmt: skip
    return Disentanglement(**(values | changes))


def split_of(factors: torch.Tensor) -> Split:
    """Rows that hold their own factors."""
    rows = factors.float().view(len(factors), 1, 1, -1) / 16
    return Split(rows, factors=factors)


def made(*, seed: int = 0, dim: int = 3) -> Trial:
    """A linear model whose code is the row, of rows with three factors of 16 values."""
    draws = torch.Generator().manual_seed(1)
    factors = torch.randint(0, 16, (1200, 3), generator=draws)
    whole = model(image_shape=(1, 1, 3), network=linear(), latent=plain(dim))
    project = whole.latent.project[1]
    project.weight.copy_(torch.eye(dim, 3))
    project.bias.zero_()
    train, test = split_of(factors[:600]), split_of(factors[600:])
    return trial(whole, training=train, images=test, batch_size=100, seed=seed)


def test_a_code_that_is_the_factors() -> None:
    found = word()(made())
    assert found.keys() == KEYS
    assert all(value > 0.9 for value in found.values()), found
    assert word()(made()) == found, "bit for bit"
    assert all(Disentanglement.reports[name].higher_is_better for name in KEYS)


@pytest.mark.parametrize("key", ["images", "bins", "group"])
def test_two_are_enough(key: str) -> None:
    word(**{key: 2})
    with pytest.raises(ValidationError, match=key):
        word(**{key: 1})


def test_few_images_are_drawn_by_the_seed() -> None:
    few = [word(images=100)(made(seed=seed)) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]


def test_of_a_code_of_two_numbers() -> None:
    found = word()(made(dim=2))
    assert found.keys() == KEYS
    assert found["mig"] == pytest.approx(2 / 3, abs=0.1), "it tells nothing of the third factor"


def test_what_is_switched_off_is_constant() -> None:
    on = made(dim=4)
    on.model.latent.project[1].weight[3, 0] = 0.01  # a faint copy of the first number
    found = word()(on)
    assert all(value > 0.9 for value in found.values()), found
    assert word(active=0.0)(on)["mig"] < 2 / 3
    on.model.latent.project[1].weight *= 64.0
    assert word()(on) == found, "whatever the scale of the code"


def test_factors_that_do_not_vary_are_left_out() -> None:
    on = made()

    def longer(split: Split) -> Split:
        assert split.factors is not None
        return replace(split, factors=torch.cat([split.factors, torch.full((600, 1), 7)], 1))

    more = replace(on, images=longer(on.images), read_training=lambda: longer(on.training))
    assert word()(more) == word()(on)


def test_where_it_does_not_apply() -> None:
    on = made()
    assert on.images.factors is not None
    same = on.images.factors * torch.tensor([1, 0, 0])
    alone = torch.stack([torch.arange(600), on.images.factors[:, 1]], 1)
    spatial = model(
        image_shape=(1, 8, 8), network=conv(4), latent=Spatial(channels=2, activation=None)
    )
    cases = [
        (replace(on, images=replace(on.images, factors=None)), "not known"),
        (replace(on, images=replace(on.images, factors=same)), "fewer than two"),
        (
            replace(on, images=replace(on.images, factors=alone[:, [0, 1, 1]])),
            "no two of the images",
        ),
        (made(dim=1), r"\[1\] is no vector"),
        (trial(spatial), r"\[2, 4, 4\] is no vector"),
    ]
    for other, reason in cases:
        with pytest.raises(SkippedError, match=reason):
            word()(other)


def test_a_run_on_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = [
        "model=pca", "dataset=shapes", "dataset.positions=5", "dataset.scales=2",
        "dataset.image_size=16", "latent.dim=4", "figures=none", "logger=none",
        "evaluate.metrics=[disentanglement]", "evaluate.metrics.disentanglement.trees=2",
        "hydra.run.dir=run",
    ]  # fmt: skip
    assert main(command) == 0
    found = json.loads(Path("run/metrics.json").read_text())
    scores = {name: found[f"test/{name}"] for name in KEYS}
    assert all(0 <= value <= 1 for value in scores.values())
    assert scores["dci_informativeness"] > 0.3
