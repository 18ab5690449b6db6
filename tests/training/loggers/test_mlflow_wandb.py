"""`logger=mlflow` and `logger=wandb`: what their stores give back is what the run wrote, once."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import threading
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from tqdm import tqdm

from aecore.cli import main
from aecore.training.loggers.base import finalized_on_failure
from aecore.training.loggers.mlflow import MLflow, library
from aecore.training.loggers.wandb import WandB
from helpers import models as making
from helpers.commands import called
from helpers.extras import installed, need, needs
from helpers.wandb_offline import Offline, called_out, read, watched_network

TINY = ["model=ae", "trainer=debug", "figures=[curves]", "network.hidden=[16]", "latent.dim=3"]
URI = "sqlite:///outputs/mlflow.db"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each installed logger, `mlflow` and `wandb`; nobody was told."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, watched_network() as (environment, server):
        patch.chdir(folder)
        environment["HOME"] = str(folder)
        for name in filter(installed, ("mlflow", "wandb")):
            said = called(
                *TINY, f"logger={name}", f"hydra.run.dir={name}", environment=environment
            )  # fmt: skip
            told = [line for line in said.err.splitlines() if "mean image" not in line]
            assert told == [] and "wandb:" not in said.out
            assert not called_out(server), name
    return folder


@pytest.fixture(autouse=True)
def _there(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)


def held() -> dict[str, Any]:
    """What a logger could leave behind."""
    children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True)
    descriptors = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
    names = sorted(os.readlink(path) for path in descriptors if os.path.exists(path))
    return {
        "threads": [thread.name for thread in threading.enumerate()],
        "children": len(children.stdout.split()),
        "files": [n for n in names if not n.endswith(".ttf")],  # which pictures are written with
        "environment": dict(os.environ),
    }


def rows(folder: str) -> list[dict[str, float]]:
    with Path(folder, "history.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def metrics(folder: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(Path(folder, "metrics.json").read_text())
    return found


def stored(folder: str) -> tuple[Any, Any]:
    """The store of a run, and the run as the store has it."""
    record = json.loads(Path(folder, "mlflow.json").read_text())
    client = library().MlflowClient(record["uri"])
    return client, client.get_run(record["run"])


def points(folder: str, key: str) -> list[tuple[int, Any]]:
    client, run = stored(folder)
    history = client.get_metric_history(run.info.run_id, key)
    return [(metric.step, pytest.approx(metric.value, rel=1e-6)) for metric in history]


def offline(folder: str) -> list[Offline]:
    return [read(path) for path in sorted(Path(folder, "wandb").glob("offline-run-*"))]


@needs("mlflow")
class TestMLflow:
    def test_what_the_store_holds(self) -> None:
        client, run = stored("mlflow")
        assert run.info.status == "FINISHED"
        assert run.data.params["model"] == "ae" and run.data.params["latent.dim"] == "3"
        assert points("mlflow", "val/loss") == [(r["step"], r["val/loss"]) for r in rows("mlflow")]
        assert len(points("mlflow", "train/loss")) == rows("mlflow")[-1]["step"]
        told = {k: v for k, v in run.data.metrics.items() if k.startswith("test/")}
        assert told == pytest.approx(
            {k: v for k, v in metrics("mlflow").items() if k.startswith("test/")}, rel=1e-6
        )
        id = run.info.run_id
        assert [a.path for a in client.list_artifacts(id, "figures")] == ["figures/curves.png"]
        pictures = [a.path for a in client.list_artifacts(id, "images")]
        for step in (3, 6):
            assert any(path.startswith(f"images/reconstructions+step+{step}+") for path in pictures)
        assert {p.name for p in Path().iterdir()} >= {"mlflow", "outputs"}
        assert not Path("mlruns").exists()

    def test_a_resumed_run_is_the_same_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, before = stored("mlflow")
        library()
        import_module("sklearn")  # it sets environment variables, whoever imports it first
        tqdm(disable=False, file=StringIO()).close()  # the first bar starts a thread that stays
        quiet = held()
        assert main(["resume=mlflow", "trainer.max_epochs=3"]) == 0
        assert held() == quiet
        assert f"mlflow ui --backend-store-uri {URI}" in capsys.readouterr().out
        client, after = stored("mlflow")
        assert len(client.search_runs([after.info.experiment_id])) == 1
        assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")
        assert points("mlflow", "val/loss") == [(r["step"], r["val/loss"]) for r in rows("mlflow")]
        assert points("mlflow", "test/mse")[1:] == [(9, metrics("mlflow")["test/mse"])]

    def test_what_a_killed_run_wrote_is_not_doubled(self) -> None:
        folder = Path("killed")
        folder.mkdir()
        first = MLflow(folder=folder, purge_step=None, uri=URI, experiment="other")
        first.hparams({"a": 1})
        for step in range(1, 6):
            first.log_metrics({"train/loss": step, "epoch": 0}, step)
        with pytest.raises(KeyError), finalized_on_failure([first]):
            raise KeyError
        assert stored("killed")[1].info.status == "FAILED"
        again = MLflow(folder=folder, purge_step=4, uri=URI, experiment="other")
        again.hparams({"a": 2, "b": 3})
        assert stored("killed")[1].info.status == "RUNNING"
        for step in range(4, 8):
            again.log_metrics({"train/loss": step}, step)
        again.finalize("success")
        assert stored("killed")[1].info.status == "RUNNING", "it is not measured yet"
        assert points("killed", "train/loss") == [(n, n) for n in range(1, 8)]
        assert "epoch" not in stored("killed")[1].data.metrics
        assert stored("killed")[1].data.params == {"a": "1", "b": "3"}

    def test_a_store_that_is_lost_ends_no_training(
        self, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        database = tmp_path / "mlflow.db"
        database.write_bytes(Path("outputs/mlflow.db").read_bytes())
        logger = MLflow(
            folder=tmp_path, purge_step=None, uri=f"sqlite:///{database}", experiment="x"
        )
        logger.hparams({"a": 1})
        database.write_bytes(b"no database" * 1000)
        for step in (1, 2):
            logger.log_metrics({"loss": 1.0}, step)
            logger.save()
        logger.image("grid", making.images(1, 4, 4), 2)
        logger.results({"test/mse": 1.0})
        logger.finalize("success")
        (warning,) = caplog.messages
        assert warning.startswith("logger=mlflow: ") and warning.endswith("continues without it")


@needs("wandb")
class TestWandB:
    def test_what_the_folder_holds(self) -> None:
        (run,) = offline("wandb")
        assert run.exit_code == 0
        assert (run.config["model"], run.config["latent.dim"]) == ("ae", 3)
        assert run.points("val/loss") == [(r["step"], r["val/loss"]) for r in rows("wandb")]
        assert len(run.points("train/loss")) == rows("wandb")[-1]["step"]
        told = {k: v for k, v in run.summary.items() if k.startswith("test/")}
        assert told == {k: v for k, v in metrics("wandb").items() if k.startswith("test/")}
        (folder,) = Path("wandb/wandb").glob("offline-run-*")
        for key, steps in {"reconstructions": [3, 6], "figures/curves": [6]}.items():
            shown = run.points(f"{key}/path")
            assert [step for step, _ in shown] == steps
            assert all((folder / "files" / path).is_file() for _, path in shown)
        assert [sum(counts) for _, counts in run.points("code/00/values")] == [143, 143]

    def test_a_resumed_run_keeps_its_id(self, capsys: pytest.CaptureFixture[str]) -> None:
        quiet = held()
        assert main(["resume=wandb", "trainer.max_epochs=3"]) == 0
        assert held() == quiet
        assert "wandb sync wandb/wandb/offline-run-*" in capsys.readouterr().out
        first, second = offline("wandb")
        assert first.id == second.id == json.loads(Path("wandb/wandb.json").read_text())["id"]
        assert second.points("val/loss") == [(r["step"], r["val/loss"]) for r in rows("wandb")[2:]]
        assert second.summary["test/mse"] == metrics("wandb")["test/mse"]

    def test_a_failed_run_says_so(self, tmp_path: Path) -> None:
        logger = WandB(folder=tmp_path, purge_step=None, project="x", mode="offline")
        quiet = held()
        with pytest.raises(KeyError), finalized_on_failure([logger]):
            logger.hparams({"a": 1})
            logger.histogram("code", torch.tensor([float("nan")]), 1)
            logger.finalize("success")  # of the training; measuring it goes wrong
            raise KeyError
        assert held() == quiet
        (run,) = offline(str(tmp_path))
        assert (run.exit_code, run.config["a"], run.history) == (1, 1, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["logger=mlflow", "logger.uri=mlflow.db"], "sqlite:///FILE"),
        (["logger=mlflow", "logger.uri=http://localhost:9"], "cannot be opened"),
        (["logger=mlflow", "logger.uri=sqlite:////proc/x/y.db"], "cannot be opened"),
        (
            ["logger=mlflow", "logger.experiment="],
            "logger.experiment=: String should have at least 1",
        ),
        (["logger=wandb", "logger.mode=on"], "'offline' or 'online'"),
    ],
)
def test_what_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    need(words[0].removeprefix("logger="))
    assert main([*TINY, *words, f"hydra.run.dir={tmp_path}/run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 3 and said in "\n".join(lines)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_logger_that_is_not_installed(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("aecore.config.folders.find_spec", lambda name: None)
    assert main([*TINY, f"logger={name}", f"hydra.run.dir={tmp_path}/run"]) == 2
    first, mend = capsys.readouterr().err.splitlines()
    assert first == f"error: logger={name}: not installed"
    assert mend == f"  pip install -e '.[{name}]' brings it"
    assert not list(tmp_path.iterdir())
