"""The word `disentanglement`: of which models and images it tells, and in a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aecore.cli import main
from aecore.compare.metrics import direction
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Subject
from aecore.evaluation.metrics.disentangled.disentanglement import Disentanglement
from aecore.model.latents.deterministic import Spatial
from helpers.models import conv, linear, model, plain
from helpers.trials import subject

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
    return Split(rows, factors=factors, factor_names=tuple("abcdef"[: factors.shape[1]]))


def told(*, seed: int = 0, dim: int = 3) -> Subject:
    """A linear model whose code is the row, of rows with three factors of 16 values."""
    draws = torch.Generator().manual_seed(1)
    factors = torch.randint(0, 16, (1200, 3), generator=draws)
    whole = model(image_shape=(1, 1, 3), network=linear(), latent=plain(dim))
    project = whole.latent.project[1]
    project.weight.copy_(torch.eye(dim, 3))
    project.bias.zero_()
    train, test = split_of(factors[:600]), split_of(factors[600:])
    return subject(whole, training=train, test=test, batch_size=100, seed=seed)


def test_a_code_that_is_the_factors() -> None:
    found = word()(told())
    assert found.keys() == KEYS
    assert all(value > 0.9 for value in found.values()), found
    assert word()(told()) == found, "bit for bit"
    assert all(direction(f"test/{name}") == "higher" for name in KEYS)


def test_few_images_are_drawn_by_the_seed() -> None:
    few = [word(images=100)(told(seed=seed)) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]


def test_what_is_switched_off_is_constant() -> None:
    on = told(dim=4)
    on.model.latent.project[1].weight[3, 0] = 0.01  # a faint copy of the first number
    found = word()(on)
    assert all(value > 0.9 for value in found.values()), found
    assert word(active=0.0)(on)["mig"] < 2 / 3


def test_factors_that_do_not_vary_are_left_out() -> None:
    on = told()
    for name in ("training", "test"):
        split = getattr(on, name)
        factors = torch.cat([split.factors, torch.full((600, 1), 7)], 1)
        on = replace(on, **{name: replace(split, factors=factors)})
    assert word()(on) == word()(told())


def test_where_it_does_not_apply() -> None:
    on = told()
    assert on.test.factors is not None
    same = on.test.factors * torch.tensor([1, 0, 0])
    alone = torch.stack([torch.arange(600), on.test.factors[:, 1]], 1)
    spatial = model(
        image_shape=(1, 8, 8), network=conv(4), latent=Spatial(channels=2, activation=None)
    )
    cases = [
        (replace(on, test=replace(on.test, factors=None)), "not known"),
        (replace(on, test=replace(on.test, factors=same)), "fewer than two"),
        (replace(on, test=replace(on.test, factors=alone[:, [0, 1, 1]])), "no two of the images"),
        (told(dim=1), r"\[1\] is no row"),
        (subject(spatial), r"\[2, 4, 4\] is no row"),
    ]
    for other, reason in cases:
        with pytest.raises(NotApplicable, match=reason):
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
