"""Whole runs through the real command line, in processes of their own where that matters."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aecore.cli import main
from aecore.config.folders import ROOT
from helpers.commands import called, started

SMALL = ["trainer.max_epochs=3", "network.hidden=[32]", "latent.dim=4"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*overrides: str) -> Path:
    """A small run in this process; returns its folder."""
    before = set(Path("outputs").glob("*/*"))
    assert main([*SMALL, *overrides]) == 0
    (folder,) = set(Path("outputs").glob("*/*")) - before
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a run without its times."""
    found = json.loads((folder / "metrics.json").read_text())
    return {k: v for k, v in found.items() if not k.startswith("train/")}


def test_a_run_leaves_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run()
    out = capsys.readouterr().out
    assert "vae on digits: mlp x gaussian x none x kl x bernoulli" in out
    assert "epoch 3/3" in out
    assert f"run folder   {folder}" in out
    assert "tensorboard --logdir outputs" in out
    assert metrics(folder).keys() >= {"test/mse", "test/psnr", "test/ssim", "test/elbo", "test/kl"}
    drawn = {p.stem for p in (folder / "figures").glob("*.png")}
    assert drawn == {"reconstructions", "latent", "samples", "interpolations", "curves", "strip"}
    rows = list(csv.DictReader((folder / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[0]["train/loss"]) == pytest.approx(
        float(rows[0]["train/reconstruction"]) + float(rows[0]["train/kl_weighted"]), rel=1e-5
    )
    for name in ("last.ckpt", "best.ckpt"):
        checkpoint = torch.load(folder / "checkpoints" / name, weights_only=True)
        assert "state_dict" in checkpoint
    record = json.loads((folder / "run.json").read_text())
    assert record["choices"]["model"] == "vae"
    assert record["overrides"] == SMALL
    assert record["packages"]["torch"] == torch.__version__.partition("+")[0]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["latent"] == {
        "_target_": "aecore.model.latents.gaussian.GaussianLatent",
        "dim": 4,
    }
    assert config["trainer"]["threads"] == torch.get_num_threads()
    assert list((folder / "tensorboard" / "train").glob("events*"))


def test_same_seed_same_bits_other_seed_others() -> None:
    words = ["model=denoising", "penalty=[l1,contractive]", "seed=0", "figures=none"]
    one, two, other = run(*words), run(*words), run(*words[:2], "seed=1", "figures=none")
    assert one != two
    assert metrics(one) == metrics(two)
    assert metrics(one) != metrics(other)


def test_noise_in_the_evaluation_stands_beside_the_clean() -> None:
    clean = run("model=ae", "figures=none")
    noisy = run("model=ae", "evaluate.noise=gaussian", "evaluate.noise.std=0.5", "figures=none")
    both = metrics(noisy)
    assert {k: v for k, v in both.items() if not k.startswith("test_noisy/")} == metrics(clean)
    assert both["test_noisy/input_mse"] == pytest.approx(0.25, rel=0.05)
    assert both["test_noisy/mse"] > both["test/mse"]


def test_the_longest_resume_equals_no_interruption() -> None:
    whole = run("trainer.max_epochs=6", "scheduler=plateau", "figures=none")
    part = run("scheduler=plateau", "figures=none")
    before = (part / "checkpoints" / "last.ckpt").read_bytes()
    assert main([f"resume={part}"]) == 0
    assert (part / "checkpoints" / "last.ckpt").read_bytes() == before, "it was finished"
    assert main([f"resume={part}", "trainer.max_epochs=6"]) == 0
    assert metrics(part) == metrics(whole)
    assert len((part / "history.csv").read_text().splitlines()) == 7
    assert set(Path("outputs").glob("*/*")) == {whole, part}


@pytest.mark.parametrize(
    "override", ["latent.dim=5", "optimizer.lr=0.1", "model=ae", "seed=1", "trainer.max_epochs=1"]
)
def test_a_resumed_run_keeps_its_configuration(
    override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("figures=none")
    capsys.readouterr()
    recorded = (folder / "config.yaml").read_bytes()
    assert main([f"resume={folder}", override]) == 2
    assert override.partition("=")[0] in capsys.readouterr().err
    assert (folder / "config.yaml").read_bytes() == recorded


def test_init_from_starts_from_the_weights(capsys: pytest.CaptureFixture[str]) -> None:
    first = run("figures=none", "trainer.max_epochs=40")
    second = run("figures=none", f"init_from={first}", "trainer.max_epochs=1")
    cold = run("figures=none", "trainer.max_epochs=1")
    assert metrics(second)["test/elbo"] > metrics(cold)["test/elbo"] + 1
    capsys.readouterr()
    assert main([*SMALL, f"init_from={first}", "latent.dim=5"]) == 2
    assert "another model" in capsys.readouterr().err


def test_a_truncated_checkpoint_gives_way_to_the_one_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = run("figures=none")
    last = whole / "checkpoints" / "last.ckpt"
    expected = metrics(whole)
    (whole / "metrics.json").unlink()
    last.write_bytes(last.read_bytes()[:1000])
    assert main([f"resume={whole}"]) == 0
    assert metrics(whole) == expected
    assert "previous.ckpt" in capsys.readouterr().out
    for name in ("last.ckpt", "previous.ckpt"):
        (whole / "checkpoints" / name).write_bytes(b"nothing")
    (whole / "metrics.json").unlink()
    assert main([f"resume={whole}"]) == 2
    assert "last.ckpt" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_starts_again_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = run("figures=none")
    expected = metrics(whole)
    shutil.rmtree(whole / "checkpoints")
    capsys.readouterr()
    assert main([f"resume={whole}"]) == 0
    assert metrics(whole) == expected
    assert "steps, from the first (no checkpoint yet)" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["model=ae", "optimizer.lr=1e6", "figures=none", "hydra.run.dir=run"]
    assert main([*SMALL, *argv, "optimizer=sgd"]) == 3
    error = capsys.readouterr().err
    assert "reconstruction became" in error
    assert "at step" in error
    assert len(error.splitlines()) == 3
    assert not Path("run/metrics.json").exists()
    assert not Path("run/checkpoints/last.ckpt").exists()


def test_a_gaussian_latent_without_kl_warns_and_runs(caplog: pytest.LogCaptureFixture) -> None:
    run("penalty=none", "figures=none")
    assert sum("penalty=kl" in record.message for record in caplog.records) == 1


def test_list_shows_the_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task=list"]) == 0
    assert "no runs" in capsys.readouterr().out
    folder = run("figures=none", "logger=none")
    capsys.readouterr()
    assert main(["task=list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == [str(folder), "vae", "digits", "finished"]


def test_killed_at_random_times_it_ends_the_same() -> None:
    argv = [
        "trainer.max_epochs=12",
        "model=vae",
        "penalty.kl.schedule=linear",
        "penalty.kl.warmup=5",
        "figures=[curves]",
    ]
    with started(*argv, "hydra.run.dir=whole") as command:
        began = time.monotonic()
        assert command.wait().status == 0
        whole = time.monotonic() - began
    chance = random.Random(0)
    argv.append("hydra.run.dir=part")
    for _ in range(3):
        with started(*argv):
            time.sleep(chance.uniform(0.4, 1.0) * whole)
        if Path("part/config.yaml").exists():
            argv = ["resume=part"]
    called(*argv)
    assert metrics(Path("part")) == metrics(Path("whole"))


def test_an_interrupted_use_of_a_run_cannot_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model=pca", "figures=none", "logger=none", "hydra.run.dir=run"]) == 0

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aecore.tasks.encode.codes_figure", interrupted)
    capsys.readouterr()
    assert main(["run=run", "task=encode", "out=codes"]) == 130
    assert capsys.readouterr().err == "interrupted\n" and Path("codes/codes.npz").exists()


def test_interrupted_it_says_how_to_go_on() -> None:
    with started("trainer.max_epochs=100000", "hydra.run.dir=run") as command:
        deadline = time.monotonic() + 60
        while not Path("run/checkpoints/last.ckpt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        command.signal(signal.SIGINT)
        done = command.wait(30)
    assert done.status == 130
    assert done.err == (
        "interrupted; continue with: python run.py resume=run\n"
        "  or evaluate it as it is: python run.py run=run task=evaluate\n"
    )


def test_two_runs_in_one_second_get_two_folders() -> None:
    argv = ["trainer=debug", "figures=none", "logger=none"]
    with started(*argv) as one, started(*argv) as other:
        assert [one.wait().status, other.wait().status] == [0, 0]
    assert len(list(Path("outputs/vae-digits").iterdir())) == 2


def test_a_grid_runs_in_a_folder_of_its_own() -> None:
    called("-m", "model=ae,pca", "latent.dim=2,3", "trainer=debug", "figures=none")
    (sweep,) = Path("outputs/sweeps/grid").iterdir()
    jobs = sorted(p.parent.name for p in sweep.glob("*/metrics.json"))
    assert jobs == ["0", "1", "2", "3"]


def test_neither_torch_nor_pydantic_is_imported_for_a_mistyped_option() -> None:
    script = (
        "import sys; from aecore.cli import main; main(['model=vea']); main(['latent.dmi=1']);"
        "main(['--help']); sys.exit(bool({'torch', 'pydantic'} & {*sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert answer.returncode == 0


def test_the_list_of_runs_does_without_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from aecore.cli import main;"
        f"main(['task=list', 'paths.output_dir={tmp_path}']);"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert answer.returncode == 0 and b"no runs below" in answer.stdout


def test_statuses_that_others_give() -> None:
    assert "Hydra" in called("--hydra-help").out
    called("--info", "defaults-treee", status=2)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["penalty.kl.schedule=linear"], "penalty.kl.warmup=0 is constant"),
        (["penalty.kl.warmup=5"], "penalty.kl.schedule=constant with"),
        (
            ["penalty.kl.schedule=linear", "penalty.kl.warmup=50"],
            "still growing after the",
        ),
        (["penalty.kl.schedule=linear", "penalty.kl.warmup=1"], None),
    ],
)
def test_a_weight_that_does_not_grow(
    typed: list[str], told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model=vae", "trainer=debug", "figures=none", "logger=none", *typed]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "penalty.kl.w" in line]
    warnings = [line for line in warnings if "collapsed" not in line]
    assert [told in line for line in warnings] == ([] if told is None else [True])


def test_codes_of_words_cost_what_their_words_cost() -> None:
    argv = ["model=vq_vae", "trainer=debug", "figures=none", "hydra.run.dir=run"]
    assert main([*argv, "evaluate.metrics=[jacobian,compression,perplexity]"]) == 0
    found = json.loads(Path("run/metrics.json").read_text())
    assert found["test/bits_per_code"] == found["test/code_bits"]
    assert "test/jacobian_norm" not in found and "test/quantised_mse" not in found
