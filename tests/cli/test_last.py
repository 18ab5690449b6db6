"""`last`: the newest run, finished or not, for each key that names a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aecore.cli import main
from aecore.runs.checkpoint import LAST, load
from helpers.commands import called
from helpers.dying_penalties import write_yaml

TINY = ["model=ae", "figures=none", "logger=none", "network.hidden=[8]", "trainer.max_epochs=2"]
OWN = ["--config-dir", "words"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_unfinished_run(capsys: pytest.CaptureFixture[str]) -> None:
    write_yaml(Path("words"), rank=0, step=5, signal="SIGTERM")
    called(*OWN, *TINY, "penalty=dying", "paths.output_dir=there", status=143)
    (folder,) = Path("there").glob("*/*")
    there = "paths.output_dir=there"
    assert main([*OWN, "run=last", "task=evaluate", there, "out=x"]) == 0
    said = capsys.readouterr()
    assert f"run=last is {folder}" in said.out
    assert f"warning: {folder}: not finished, 0 of 2 epochs done" in said.err
    assert main([*OWN, *TINY, "init_from=last", there, "hydra.run.dir=second"]) == 0
    assert f"init_from=last is {folder}" in capsys.readouterr().out
    assert f"init_from: {folder}\n" in Path("second/config.yaml").read_text()
    assert main([*OWN, "resume=last", there]) == 0
    assert f"resume=last is {folder}" in capsys.readouterr().out
    assert (folder / "metrics.json").exists()
    assert main([*OWN, "run=last", "task=evaluate", there, "out=y"]) == 0
    assert "not finished" not in capsys.readouterr().err


def test_a_sweep_goes_on_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    write_yaml(Path("words"), rank=0, step=5, signal="SIGTERM")
    called(*OWN, *TINY, "penalty=dying", "-m", "seed=1,2", status=143)
    assert main([*OWN, "resume=last"]) == 0
    assert len(list(Path("outputs/sweeps").glob("*/*/*/metrics.json"))) == 2


def test_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["resume=last"], ["init_from=last", *TINY], ["run=last", "task=evaluate"]):
        assert main(argv) == 2
        assert "run below outputs" in capsys.readouterr().err


def test_it_names_the_run_before_and_not_itself() -> None:
    """Recorded is the folder, so that a resumed run does not begin with its own weights."""
    assert main([*TINY, "hydra.run.dir=outputs/first/run"]) == 0
    assert main([*TINY, "init_from=last", "seed=1", "hydra.run.dir=outputs/second/run"]) == 0
    assert main(["resume=outputs/second/run"]) == 0
    first, second = (Path(f"outputs/{name}/run/checkpoints") for name in ("first", "second"))
    weights = [load(folder / LAST)["state_dict"] for folder in (first, second)]
    assert not all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
