"""What Hydra's own overrides do here: they reach the launcher and the jobs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.utils import JobRuntime
from hydra.types import RunMode

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose, hydra_of
from helpers.commands import called
from helpers.dying_penalties import write_yaml
from helpers.extras import need

TINY = ["model=ae", "trainer=debug", "figures=none", "logger=none", "network.hidden=[8]"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def hydra_node(*argv: str) -> Any:
    """Hydra's own part of the configuration by which a multirun is launched."""
    arguments = parse(["-m", *argv])
    compose(arguments)
    with hydra_of(arguments) as hydra:
        config = hydra.compose_config(
            arguments.config_name, arguments.lines, run_mode=RunMode.MULTIRUN
        )
    return config.hydra


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_a_plus_changes_nothing_for_the_launcher(sign: str) -> None:
    need("joblib")
    node = hydra_node("hydra/launcher=joblib", f"{sign}hydra.launcher.n_jobs=3")
    assert node.launcher.n_jobs == 3


@pytest.mark.parametrize("sign", ["", "+", "++"])
@pytest.mark.parametrize("form", ['={gres: "gpu:1"}', ".gres=gpu:1"])
def test_mappings_of_a_launcher_take_any_key(sign: str, form: str) -> None:
    need("slurm")
    override = f"{sign}hydra.launcher.additional_parameters{form}"
    node = hydra_node("hydra/launcher=submitit_slurm", override)
    assert node.launcher.additional_parameters == {"gres": "gpu:1"}


def test_variables_are_set_for_a_run_and_for_jobs(tmp_path: Path) -> None:
    """A penalty of the user's own sees them; afterwards they are gone."""
    write_yaml(Path("words"), rank=0, signal="SIGTERM")
    script = Path("words/dying_penalties.py")
    script.write_text(
        script.read_text().replace(
            "super().__init__()", "super().__init__()\n        assert os.environ['SEEN'] == 'yes'"
        )
    )
    Path("words/file").unlink()
    argv = ["--config-dir", "words", "penalty=dying", "hydra.job.env_set.SEEN=yes", *TINY]
    called(*argv, "hydra.run.dir=run")
    called(*argv, "-m", "seed=0,1", "hydra.sweep.dir=sweep")
    assert (tmp_path / "run/metrics.json").exists() and (tmp_path / "sweep/1/metrics.json").exists()


def test_a_launcher_within_an_experiment_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("slurm")
    folder = Path("words/experiment")
    folder.mkdir(parents=True)
    (folder / "many.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: submitit_slurm\n"
    )
    monkeypatch.setenv("PATH", "")  # without srun
    assert main(["--config-dir", "words", "-m", "experiment=many", "seed=0,1", *TINY]) == 2
    assert "there is no Slurm here" in capsys.readouterr().err


def test_nothing_in_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("words/sweeps")
    folder.mkdir(parents=True)
    text = (
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      dataset.binarise: {null}\n      network.hidden: '[8,4]'\n"
    )
    argv = ["--config-dir", "words", "sweeps=mine", *TINY[:-1], "hydra.sweep.dir=sweep"]
    (folder / "mine.yaml").write_text(text.format(null="null"))
    assert main(argv) == 2
    assert "write 'null', in quotes" in capsys.readouterr().err
    (folder / "mine.yaml").write_text(text.format(null="'null'"))
    assert main(argv) == 0
    config = yaml.safe_load(Path("sweep/0/config.yaml").read_text())
    assert config["dataset"]["binarise"] is None and config["network"]["hidden"] == [8, 4]


def test_a_terminal_of_ascii(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    called(*TINY, "-m", "seed=0,1", "hydra.sweep.dir=\u65e5\u672c", environment=environment)
    assert len(json.loads((tmp_path / "\u65e5\u672c" / "sweep.json").read_text())["jobs"]) == 2


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main([*TINY, "paths.output_dir=~/mine"]) == 0
    assert list((tmp_path / "home/mine").glob("*/*/metrics.json")) and not Path("~").exists()


def test_the_job_of_a_program_around_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), job_name="theirs", version_base="1.3"):
        compose(parse(TINY))
        assert JobRuntime.instance().get("name") == "theirs"
        assert hydra_compose("config").a == 1
