"""A run folder as a model again, and many of them as what figures look at."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from aecore.cli import main
from aecore.compare.trials import Trials
from aecore.errors import UserError
from aecore.evaluation.evaluate import evaluate
from aecore.runs.open import open_run
from aecore.training.setup import build_experiment
from aecore.training.trial import make_trial

TINY = ["model=ae", "logger=none", "figures=none", "trainer.threads=1"]


def trained(folder: Path, *overrides: str) -> Path:
    """A small finished run on digits."""
    assert main([*TINY, "trainer.max_epochs=2", *overrides, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs on the same data; not to be changed."""
    root = tmp_path_factory.mktemp("pair")
    return {f"dim {n}": trained(root / str(n), f"latent.dim={n}") for n in (2, 3)}


@pytest.mark.parametrize(
    "overrides",
    [
        ["latent.dim=3"],
        ["dataset.range=standardised"],
        ["model=pca", "latent.dim=3"],
        ["model=cnn_vae"],
    ],
)
def test_an_opened_run_measures_what_was_measured(tmp_path: Path, overrides: list[str]) -> None:
    folder = trained(tmp_path / "run", *overrides)
    run = open_run(folder)
    model, experiment = run.model(), build_experiment(run.config.model_dump())
    data = experiment.data
    assert not model.training
    again = evaluate(make_trial(experiment, model))
    recorded = json.loads((folder / "metrics.json").read_text())
    assert again["test/mse"] == recorded["test/mse"] == run.metrics["test/mse"]
    assert again["test/loss"] == recorded["test/loss"]
    assert [row["epoch"] for row in run.history] == ([] if "model=pca" in overrides else [1, 2])
    assert run.image_shape == data.train.image_shape and run.class_names == data.train.class_names


def test_the_best_weights_are_taken_where_they_were_measured(tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", "evaluate.weights=best")
    checkpoints = folder / "checkpoints"
    state = torch.load(checkpoints / "last.ckpt", weights_only=True)
    state["state_dict"] = {k: torch.zeros_like(v) for k, v in state["state_dict"].items()}
    (checkpoints / "last.ckpt").unlink()  # it may be the same file as the best one
    torch.save(state, checkpoints / "last.ckpt")
    run = open_run(folder)
    assert run.path == checkpoints / "best.ckpt"
    assert any(p.any() for p in run.model().parameters())
    (checkpoints / "best.ckpt").unlink()
    assert not any(p.any() for p in open_run(folder).model().parameters())


def test_trials_share_their_images_and_know_their_runs(pair: dict[str, Path]) -> None:
    trials = Trials(pair)
    assert list(trials) == ["dim 2", "dim 3"]
    two, three = trials.values()
    assert two.images is three.images
    assert (two.model.code_shape, three.model.code_shape) == ((2,), (3,))
    assert trials["dim 2"] is two, "opened once"
    assert [row["epoch"] for row in two.history] == [1, 2]


def test_runs_are_opened_when_looked_at(pair: dict[str, Path], tmp_path: Path) -> None:
    trials = Trials({**pair, "gone": tmp_path / "gone"})
    assert len(trials) == 3
    for _ in range(2):
        with pytest.raises(UserError, match=r"^gone cannot be opened \(.*no such run folder"):
            trials["dim 2"]
    with pytest.raises(KeyError):
        Trials(pair)["other"]


@pytest.mark.parametrize(
    "target", ["os.mkdir", "aecore.model.noise.noises.GaussianNoise", "subprocess.Popen"]
)
def test_a_foreign_configuration_builds_nothing_but_words(
    pair: dict[str, Path], tmp_path: Path, target: str
) -> None:
    config = yaml.safe_load((pair["dim 2"] / "config.yaml").read_text())
    config["latent"] = {"_target_": target, "path": str(tmp_path / "evil"), "args": ["false"]}
    shutil.copytree(pair["dim 2"], tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(
        UserError, match=f"latent._target_={re.escape(target)}: no (component|Latent)"
    ):
        open_run(tmp_path).model()
    assert not (tmp_path / "evil").exists()


def test_a_checkpoint_that_would_run_code_is_refused(pair: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(pair["dim 2"], tmp_path, dirs_exist_ok=True)
    evil = {"state_dict": {}, "step": 0, "epoch": 0, "more": Path}
    torch.save(evil, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(UserError, match=r"last\.ckpt: truncated, damaged or foreign"):
        open_run(tmp_path)
