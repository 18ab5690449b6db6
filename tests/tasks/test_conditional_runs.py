"""Conditional runs from the command line: trained, measured, drawn, resumed and opened again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.build import build
from aecore.config.compose import compose
from aecore.config.folders import CONF
from aecore.data.classes import count_classes
from aecore.data.split import Split
from aecore.errors import SkippedError, UserError
from aecore.evaluation.evaluate import evaluate
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.base import Latent
from aecore.model.objectives.base import Objective
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.kl import KL
from aecore.model.penalties.weight import WEIGHT_KEYS
from aecore.model.priors.base import Prior
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.runs.checkpoint import LAST
from aecore.runs.open import open_run
from aecore.training.config_checker import ConfigChecker
from aecore.training.setup import build_experiment
from helpers.checkpoints import checkpointed, same_checkpoint
from helpers.models import Memory, conv, data_of, gaussian, gen, images, linear, model, plain
from helpers.training_loop import equal

# values that are others' elsewhere, or would take long
INSTEAD: dict[str, dict[str, Any]] = {
    "capacity": {"epochs": 2.0},
    "likelihood": {"samples": 3},
    "frechet": {"epochs": 1},
}
SLOTS: dict[str, type] = {
    "latent": Latent, "penalty": Penalty, "reconstruction": Reconstruction, "prior": Prior,
    "objective": Objective,
}  # fmt: skip
CHOICES = [
    (group, file.stem)
    for group in SLOTS
    for file in sorted((CONF / group).glob("*.yaml"))
    if "_target_" in file.read_text() and "defaults:" not in file.read_text()
]
# a word stands in the first of these that takes it
SENTENCES: list[dict[str, Any]] = [
    {
        "latent": gaussian(2),
        "penalties": {"kl": KL()},
        "reconstruction": GaussianLikelihood(scale=1.0),
    },
    {"latent": gaussian(2), "reconstruction": GaussianLikelihood(scale=1.0)},
    {"latent": plain(2)},
    {"latent": plain(2, activation="sigmoid")},
    {"latent": plain(2), "network": linear()},
    {"network": conv(4)},
]


def node(group: str, name: str) -> dict[str, Any]:
    """A choice file, without what its term counts."""
    found: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    if "_target_" not in found:
        (found,) = found.values()
    counted = WEIGHT_KEYS if group in ("penalty", "reconstruction") else ()
    own = {k: v for k, v in found.items() if k not in counted}
    return own | INSTEAD.get(name, {})


def told(group: str, name: str) -> Autoencoder:
    """A conditional model with that word in it."""
    for words in SENTENCES:
        made = build(node(group, name), group, SLOTS[group])
        mine = {"penalties": {name: made}} if group == "penalty" else {group: made}
        try:
            return model(image_shape=(1, 8, 8), classes=3, **{**words, **mine})
        except UserError:
            continue
    raise AssertionError("no sentence takes it")


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_word_can_be_told_classes(group: str, name: str) -> None:
    whole = told(group, name)
    x, y = images(6, 1, 8, 8), torch.arange(6) % 3
    for penalty in whole.penalties.values():
        penalty.attach(6, 1)  # type: ignore[operator]
    terms = whole.terms(x, gen(), epoch=1, noisy=True, y=y)
    sum(terms.critics.values(), terms.loss).backward()
    assert bool(torch.isfinite(terms.loss))
    for part, p in whole.condition.named_parameters():  # type: ignore[union-attr]
        assert p.grad is not None, part
    other = whole.terms(x, gen(), epoch=1, noisy=True, y=(y + 1) % 3)
    assert not torch.equal(other.loss, terms.loss)


@torch.no_grad()
def test_every_metric_is_given_labels() -> None:
    shape, y = (1, 8, 8), torch.arange(40) % 3
    whole = model(
        image_shape=shape, latent=gaussian(2), penalties={"kl": KL()}, classes=3,
        reconstruction=GaussianLikelihood(scale=1.0),
    ).eval()  # fmt: skip
    splits = [Split(images(40, *shape, seed=seed), y) for seed in (1, 2)]
    trial = Trial(whole, splits[0], read_training=lambda: splits[1], batch_size=16)
    applied = set()
    for file in (CONF / "evaluate/metrics").glob("*.yaml"):
        if file.stem == "none":
            continue
        metric = build(node("evaluate/metrics", file.stem), file.stem, Metric)
        try:
            assert metric(trial), file.stem
            applied.add(file.stem)
        except SkippedError:
            continue
    assert applied >= {
        "activity", "bits", "compression", "equivalent_variance", "frechet",
        "jacobian", "likelihood", "manifold", "pca", "posterior", "probe", "rank",
    }  # fmt: skip


def test_a_run_is_drawn_opened_again_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    run = [
        "model=cvae", "trainer.max_epochs=1", "trainer.threads=1", "evaluate.noise=gaussian",
        "dataset.train_size=200", "dataset.val_size=40", "dataset.test_size=60",
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    assert main(run) == 0
    assert "conditional on 10 classes" in capsys.readouterr().out
    drawn = {file.stem for file in (folder / "figures").iterdir()}
    assert drawn == {
        "reconstructions", "denoised", "latent", "samples", "interpolations", "curves", "strip"
    }  # fmt: skip
    metrics = json.loads((folder / "metrics.json").read_text())
    opened = open_run(folder)
    whole, data_module = opened.model(), build_experiment(opened.config.model_dump()).data
    assert whole.classes == 10
    again = evaluate(Trial(whole, data_module.test))
    assert again.items() <= metrics.items(), "bit for bit"


def conditional(seed: int = 0) -> Autoencoder:
    return model(seed=seed, latent=gaussian(2), penalties={"kl": KL()}, classes=3)


def test_resuming_is_going_on(tmp_path: Path) -> None:
    split = Split(images(50, 1, 4, 4), torch.arange(50) % 3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    through, first, second = conditional(), conditional(), conditional(seed=8)
    for one, folder, epochs, resume in (
        (through, whole, 2, False), (first, parts, 1, False), (second, parts, 2, True)
    ):  # fmt: skip
        module = data_of(Memory(split), val_size=10)
        checkpointed(one, folder, epochs, module=module, resume=resume)
    assert equal(through.state_dict(), second.state_dict())
    assert not torch.equal(
        through.state_dict()["condition.planes.weight"],
        conditional().state_dict()["condition.planes.weight"],
    )
    same_checkpoint(whole / LAST, parts / LAST)


def test_images_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((26, 8, 8), np.uint8))
    run = [
        "dataset=arrays", f"dataset.path={tmp_path}/x.npz", "model=cvae", "dataset.val_size=4",
        "dataset.batch_size=4", f"hydra.run.dir={tmp_path}/run",
    ]  # fmt: skip
    assert main(run) == 2
    assert capsys.readouterr().err == (
        "error: conditional=true: the train images of this dataset have no labels\n"
        "  use conditional=false, or a dataset with labels\n"
    )
    with pytest.raises(UserError, match="no labels"):
        ConfigChecker().check(compose(parse(run)).config)


def split(*labels: int, **known: Any) -> Split:
    return Split(images(len(labels), 1, 4, 4), torch.tensor(labels), **known)


def test_classes_are_counted_over_all_splits_and_names() -> None:
    train = split(0, 1, 1, 0)
    assert count_classes({"train": train, "test": split(0, 3, 1)}) == 4
    assert count_classes({"train": split(0, 3, 1), "test": train}) == 4
    names = tuple("abcdefghijk")
    assert count_classes({"train": train, "test": split(0, 3, 1, class_names=names)}) == 11
    some = data_of(Memory(split(*[0, 1, 2, 3] * 4)), classes=[1, 2], batch_size=4)
    assert set(some.train.labels.tolist()) == {1, 2}  # type: ignore[union-attr]
    assert some.count_classes() == 3


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        (split(0, -1), "a test image has the label -1"),
        (split(0, 900), "the labels of 6 images go up to 900"),
        (Split(images(2, 1, 4, 4)), "the test images of this dataset have no labels"),
    ],
)
def test_labels_that_count_nothing(test: Split, complaint: str) -> None:
    with pytest.raises(UserError, match=f"conditional=true: {complaint}"):
        count_classes({"train": split(0, 1, 2, 0), "test": test})


def test_a_job_of_a_sweep_is_checked_without_numbers() -> None:
    config = compose(parse(["model=cvae", "dataset.range=standardised", "reconstruction=mse"]))
    ConfigChecker().check(config.config)
