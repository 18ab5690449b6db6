"""`dry_run=true`: what would run; and the labels and times of jobs that do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aecore.cli import main
from aecore.training.callbacks import progress
from helpers.commands import called
from helpers.extras import need


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dry_run=true", "network.hidden=[16]", "latent.dim=3"]) == 0
    out = capsys.readouterr().out
    weights = 64 * 16 + 16 + 2 * (16 * 3 + 3) + 3 * 16 + 16 + 16 * 64 + 64
    assert f"{weights:,} parameters" in out and "2,100 steps" in out
    assert re.search(r"time +about \d+:\d\d of training, from 20 steps", out)
    assert not [*Path().iterdir()]


def test_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", "dry_run=true", "model=pca,ae", "latent.dim=2,3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["1", "2", "3", "4"]
    assert "not estimated" in lines[1] and lines[4].endswith("model=ae latent.dim=3")
    assert lines[6].startswith("4 jobs, about ") and not [*Path().iterdir()]


@pytest.mark.parametrize(
    "argv", [["task=list"], ["-m", "hydra/sweeper=optuna", "latent.dim=2,3"], ["latent.dim=0"]]
)
def test_what_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "dry_run=true"]) == 2
    assert not [*Path().iterdir()] and "error: " in capsys.readouterr().err


def test_a_model_larger_than_memory_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["network.hidden=[500000,500000]", "dry_run=true"]) == 2
    assert any("training this model takes" in record.message for record in caplog.records)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_every_line_of_a_job_has_its_label(launcher: str) -> None:
    if launcher == "joblib":
        need("joblib")
    argv = ["-m", "seed=0,1", "penalty=none", "trainer.max_epochs=1", "figures=none", "logger=none"]
    done = called(*argv, f"hydra/launcher={launcher}")
    assert "job 1/2: seed=0" in done.out and "-> 1\n" in done.out
    assert "2 of 2 jobs done" in done.out
    lines = done.err.splitlines()
    assert all(re.search(r"\bjob [12]/2: ", line) for line in lines if "penalty=none:" in line)
    assert sum("penalty=none:" in line for line in lines) == 2


def test_of_many_epochs_some_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINES", 3)
    few = ["dataset.train_size=20", "dataset.batch_size=20", "figures=none", "logger=none"]
    assert main(["model=linear_ae", "trainer.max_epochs=8", *few]) == 0
    shown = re.findall(r"^epoch (\d+)/8 ", capsys.readouterr().out, re.MULTILINE)
    assert shown == ["3", "6", "8"]


def test_epochs_show_the_validation_loss_and_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["trainer.max_epochs=2", "figures=all", "logger=none"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("loading vae on digits ...\n")
    epochs = [line for line in out.splitlines() if line.startswith("epoch ")]
    assert re.match(r"epoch 1/2  \d+:\d\d, \d+:\d\d left  val loss [\d.]+, loss ", epochs[0])
    assert re.match(r"epoch 2/2  \d+:\d\d  val loss ", epochs[1])
    assert max(map(len, epochs)) <= 80
    drawn = {file.stem for file in Path().glob("outputs/*/*/figures/*")}
    assert {"tsne", "jacobian", "traversals", "strip"} <= drawn


def test_list_with_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["trainer.max_epochs=1", "figures=none", "logger=none"]
    for dim in (2, 3):
        assert main([f"latent.dim={dim}", *tiny]) == 0
    capsys.readouterr()
    wanted = "list.where={dataset: digits, latent.dim: 3, state: finished}"
    assert main(["task=list", wanted]) == 0
    header, run, count = capsys.readouterr().out.splitlines()
    assert "val/loss" in header and "latent.dim=3" in run and count == "1 of 2 runs"
    assert run.split()[1:5] == ["vae", "digits", "finished", "1"]
    assert main(["task=list", "list.where={model: vea, latent.dim: 2}"]) == 0
    assert capsys.readouterr().out == "0 of 2 runs\nnote: model is vae in these runs\n"
    for where, problem in {
        "{datset: digits}": "did you mean 'dataset'",
        "{state: done}": "known: finished, unfinished, failed",
    }.items():
        assert main(["task=list", f"list.where={where}"]) == 2
        assert problem in capsys.readouterr().err
