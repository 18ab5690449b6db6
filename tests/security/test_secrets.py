"""What a logger is given from the environment is used, and stands nowhere on the disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml

from aecore.cli import main
from helpers.extras import needs
from helpers.foreign_sweeps import TINY, recorded
from helpers.own_logger import GIVEN, write_logger

TYPED = "logger.token=${oc.env:TOKEN}"
OWN = ["--config-dir", "mine"]
ARGV = [*OWN, *TINY, "logger=telling"]
HUSH = "hush-hush-0123"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", HUSH)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_logger", raising=False)
    write_logger(tmp_path / "mine")
    GIVEN.clear()


def told_nobody(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed; asserts that neither it nor any file holds the secret."""
    out, err = capsys.readouterr()
    assert HUSH not in out + err
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert [path for path in files if HUSH.encode() in path.read_bytes()] == []
    return err


def unfinished(run: Path) -> None:
    (run / "metrics.json").unlink()
    (run / "checkpoints" / "last.ckpt").unlink()


def test_a_token_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGV, TYPED, "hydra.run.dir=run"]) == 0
    assert set(GIVEN) == {HUSH}
    told_nobody(capsys)
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["logger"] == {
        "_target_": "own_logger.Telling",
        "token": None,
        "place": "somewhere",
    }
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["aecore"]["config"]["logger"]["token"] is None
    record = json.loads(Path("run/run.json").read_text())
    assert record["redacted"] == ["logger.token"] and TYPED in record["overrides"]

    unfinished(Path("run"))
    GIVEN.clear()
    assert main([*OWN, "resume=run"]) == 2
    first, hint = told_nobody(capsys).splitlines()
    assert first == "error: run: logger.token is not recorded: give it again"
    assert hint.endswith("resume=run logger.token='${oc.env:NAME}'")
    assert main([*OWN, "resume=run", TYPED]) == 0
    assert set(GIVEN) == {HUSH}
    told_nobody(capsys)
    assert main([*OWN, "run=run", "task=evaluate"]) == 0, "nothing is logged there"
    assert main([*OWN, "task=compare", "runs=run", "out=compared"]) == 0
    told_nobody(capsys)


def test_a_token_that_becomes_one_later(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGV, "logger.token=open", "hydra.run.dir=run"]) == 0
    assert set(GIVEN) == {"open"}
    unfinished(Path("run"))
    assert main([*OWN, "resume=run"]) == 2, "it leads elsewhere"
    assert "logger.token=open: leads elsewhere" in told_nobody(capsys)
    assert main([*OWN, "resume=run", TYPED]) == 0
    told_nobody(capsys)
    assert json.loads(Path("run/run.json").read_text())["redacted"] == ["logger.token"]
    unfinished(Path("run"))
    assert main([*OWN, "resume=run", "logger.token=open"]) == 0
    assert yaml.safe_load(Path("run/config.yaml").read_text())["logger"]["token"] == "open"
    unfinished(Path("run"))
    assert main([*OWN, "resume=run", "logger.token=open"]) == 0


def test_a_token_of_ones_own_yaml_is_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("mine/logger/telling.yaml")
    path.write_text(path.read_text().replace("null", "Bearer ${oc.env:TOKEN}"))
    assert main([*ARGV, "hydra.run.dir=run"]) == 0
    told_nobody(capsys)
    unfinished(Path("run"))
    GIVEN.clear()
    assert main([*OWN, "resume=run"]) == 0
    assert set(GIVEN) == {f"Bearer {HUSH}"}
    told_nobody(capsys)


def test_a_token_that_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGV, TYPED, "logger.place=at/${logger.token}", "hydra.run.dir=run"]) == 0
    told_nobody(capsys)
    record = json.loads(Path("run/run.json").read_text())
    assert sorted(record["redacted"]) == ["logger.place", "logger.token"]


def test_other_interpolations_are_stored_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR", "0.01")
    argv = [*ARGV, "logger.place=${paths.output_dir}/x", "optimizer.lr='${oc.decode:${oc.env:LR}}'"]
    assert main([*argv, "hydra.run.dir=run"]) == 0
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["logger"]["place"] == "outputs/x" and config["optimizer"]["lr"] == 0.01
    assert "redacted" not in json.loads(Path("run/run.json").read_text())


def test_a_server_that_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "refused")
    assert main([*ARGV, TYPED]) == 2
    assert capsys.readouterr().err.startswith("error: logger.token=***: the server said no to ***")


def test_a_token_of_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGV, "-m", "seed=0,1", TYPED, "hydra.sweep.dir=sweep"]) == 0
    assert set(GIVEN) == {HUSH}
    told_nobody(capsys)
    record = recorded(Path("sweep"))
    assert record["unrecorded"] == ["logger.token"] and "oc.env" not in json.dumps(record)
    unfinished(Path("sweep/1"))
    GIVEN.clear()
    assert main([*OWN, "resume=sweep"]) == 2
    assert "sweep: logger.token is not recorded: give it again" in told_nobody(capsys)
    assert main([*OWN, "resume=sweep", TYPED]) == 0
    assert set(GIVEN) == {HUSH}
    told_nobody(capsys)
    unfinished(Path("sweep/1"))
    assert main([*OWN, "resume=sweep/1"]) == 2
    assert main([*OWN, "resume=sweep/1", TYPED]) == 0
    told_nobody(capsys)


@needs("mlflow")
def test_the_address_of_a_store(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE", f"sqlite:///{HUSH}.db")
    store = "logger.uri=${oc.env:STORE}"
    assert main([*TINY, "logger=mlflow", store, "hydra.run.dir=run"]) == 0
    assert Path(f"{HUSH}.db").is_file()
    out, err = capsys.readouterr()
    files = [path for path in Path("run").rglob("*") if path.is_file()]
    assert HUSH not in out + err and not any(HUSH.encode() in f.read_bytes() for f in files)
    unfinished(Path("run"))
    assert main(["resume=run"]) == 2
    assert main(["resume=run", store]) == 0
    assert json.loads(Path("run/mlflow.json").read_text())["uri"] is None
    monkeypatch.setenv("STORE", f"{HUSH}")
    assert main([*TINY, "logger=mlflow", store]) == 2
    assert HUSH not in capsys.readouterr().err
