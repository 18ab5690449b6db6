"""A model beside the best constant image, and trainings that are long enough."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.data.split import Split
from aecore.model.penalties.kl import KL
from aecore.model.priors.flow import FlowPrior
from aecore.training.prepare import prepare
from aecore.training.report import announce
from aecore.training.setup import build_experiment
from helpers.evaluation import measured
from helpers.models import gaussian, gen, images, model

SMALL = [
    "model=ae", "dataset=arrays", "dataset.path=x.npy", "network.hidden=[8]", "latent.dim=2",
    "figures=none", "hydra.run.dir=run", "dataset.test_fraction=0.2", "dataset.val_size=0",
]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 5), (1, 1, 6)])
@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_is_the_error_of_the_mean(shape: tuple[int, int, int], offset: float) -> None:
    x = images(23, *shape).double() + offset
    shift = torch.full((1, 1, 1), offset, dtype=torch.float64)
    whole = model(image_shape=shape, shift=shift, scale=torch.ones_like(shift)).eval()
    expected = float((x - x.mean(0)).square().mean())
    for size in (5, 23):
        found = measured(whole, Split(x), batch_size=size)
        assert found["test/mean_image_mse"] == pytest.approx(expected, rel=1e-6)


def test_a_model_that_is_no_better_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).random((100, 6, 6)).astype("f4"))
    caplog.set_level(logging.WARNING, "aecore")
    assert main([*SMALL, "trainer.max_epochs=1", "optimizer.lr=1e-6"]) == 0
    assert "test/mse" in caplog.text and "is no better than the mean image" in caplog.text
    found = json.loads(Path("run/metrics.json").read_text())
    assert found["test/mse"] > found["test/mean_image_mse"] == pytest.approx(1 / 12, rel=0.1)
    caplog.clear()
    exact = ["model=pca", *(word for word in SMALL[1:] if "network" not in word)]
    assert main([*exact, "latent.dim=30", "hydra.run.dir=exact"]) == 0
    assert "mean image" not in caplog.text


@pytest.mark.parametrize(
    ("images_there", "words", "batch", "epochs"),
    [
        (375, [], 128, 427),  # 300 to train on: 3 steps an epoch
        (100, [], 80, 1000),
        (100, ["dataset.batch_size=20"], 20, 250),
        (100, ["dataset.epochs=2000"], 80, 2000),
        (100, ["trainer.max_epochs=3"], 80, 3),
    ],
)
def test_enough_steps_by_default(
    tmp_path: Path, images_there: int, words: list[str], batch: int, epochs: int
) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).random((images_there, 2, 2)).astype("f4"))
    overrides = [*SMALL, *words, f"dataset.path={path}", "trainer.limit_batches=1"]
    job = compose(parse(overrides))
    experiment = build_experiment(job.config)
    model = prepare(experiment)
    assert experiment.config.trainer.max_epochs == experiment.max_epochs == epochs
    assert experiment.config.dataset["batch_size"] == batch
    said = f"{epochs} epochs, batches of {batch}, {epochs:,} steps"
    assert said in announce(experiment, model, job.choices, tmp_path, None)


def test_a_flow_prior_draws_in_the_precision_of_the_model() -> None:
    prior = FlowPrior(kind="affine", transforms=2, hidden=[8])
    whole = model(latent=gaussian(3), prior=prior, penalties={"kl": KL()}).double()
    like = whole.like
    drawn = whole.prior_density.sample((50, 3), like, gen(1))
    assert drawn.dtype == torch.float64
    assert not torch.equal(drawn, drawn.float().double()), "drawn in float64, not only converted"
