"""The configuration of a run that came from anywhere: where it writes, and to whom it speaks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aecore.cli import main
from aecore.compare.trials import Trials
from aecore.config.arguments import parse
from aecore.errors import UserError
from aecore.tasks.reuse import use_of_run
from helpers.extras import needs
from helpers.foreign_runs import configured, copied, recorded
from helpers.foreign_sweeps import TINY, below

Tamper = Callable[[Path], None]
FACES: dict[str, Any] = {
    "_target_": "aecore.data.sources.faces.Faces", "images": 20, "image_size": 16,
    "skip_broken": False, "test_fraction": 0.2, "in_memory": False, "cache_dir": None,
}  # fmt: skip
LOGGERS = "aecore.training.loggers"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "run"
    assert main([*TINY, "model=vae", "latent.dim=2", f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def set_to(**changes: Any) -> Tamper:
    """Changes the configuration, a level below its keys."""

    def change(config: dict[str, Any]) -> None:
        for key, value in changes.items():
            merged = isinstance(value, dict) and "_target_" not in value
            config[key] = config[key] | value if merged else value

    return configured(change)


def unfinished(run: Path) -> None:
    (run / "metrics.json").unlink()


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """How a command is refused that leaves everything as it was."""
    before = below(Path())
    capsys.readouterr()
    assert main([*argv]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) <= 3 and told.startswith("error: ")
    assert below(Path()) == before
    return told


HOSTILE: dict[str, tuple[Tamper, str]] = {
    "a comparison": (set_to(task="compare", out="evil", runs="."), "task=compare"),
    "a list of runs": (set_to(task="list"), "task=list"),
    "a task that is none": (set_to(task="../evil"), "task=../evil"),
    "no task": (configured(lambda c: c.pop("task")), "task"),
    "a data folder": (set_to(paths={"data_dir": "evil"}), "paths.data_dir=evil"),
    "a data folder above": (set_to(paths={"data_dir": "../../evil"}), "paths.data_dir=../../evil"),
    "a cache": (set_to(dataset={"cache_dir": "evil"}), "dataset.cache_dir=evil"),
    "a cache of other data": (
        set_to(evaluate={"ood": {"faces": FACES | {"cache_dir": "evil"}}}),
        "evaluate.ood.faces.cache_dir=evil",
    ),
    "a store": (
        set_to(logger={"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": "sqlite:///evil.db",
                       "experiment": "x"}),
        "logger.uri=sqlite:///evil.db",
    ),
    "a server": (
        set_to(logger={"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": "http://127.0.0.1:9/",
                       "experiment": "x"}),
        "logger.uri=",
    ),
    "the network": (
        set_to(logger={"_target_": f"{LOGGERS}.wandb.WandB", "project": "x", "mode": "online"}),
        "logger.mode=online",
    ),
    "an interpolation": (set_to(paths={"data_dir": "${oc.env:HOME}"}), "paths.data_dir="),
    "a figure elsewhere": (
        configured(lambda c: c.update(figures={"../../evil": {}})), "figures"
    ),
    "an absolute figure": (
        configured(lambda c: c.update(figures={"/nowhere/evil": {"_target_": (
            "aecore.evaluation.figures.curves.Curves")}})),
        "figures",
    ),
    "secrets of others": (recorded(redacted=["logger.token"]), "logger.token is not recorded"),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "named"), HOSTILE.values(), ids=HOSTILE)
def test_what_a_resumed_run_is_asked_for(
    run: Path, tamper: Tamper, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(run, Path("foreign"), unfinished, tamper)
    assert named in refused(capsys, "resume=foreign")


def test_nothing_that_it_wants_beside_is_done(run: Path) -> None:
    """Nothing but the run folder is written, whatever of the other tasks' keys it holds."""
    places = dict.fromkeys(("out", "runs", "run", "resume"), "evil")
    copied(run, Path("foreign"), unfinished, set_to(**places, paths={"output_dir": "evil"}))
    assert main(["resume=foreign"]) == 0
    assert {path.name for path in Path().iterdir()} == {"foreign"}
    config = yaml.safe_load(Path("foreign/config.yaml").read_text())
    assert [config[key] for key in places] == [None] * 4


def test_what_is_given_again_is_used(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied(run, Path("foreign"), unfinished, set_to(paths={"data_dir": "evil"}))
    hint = refused(capsys, "resume=foreign").splitlines()[1]
    assert hint == "  if it is yours: python run.py resume=foreign paths.data_dir=evil"
    assert main(["resume=foreign", "paths.data_dir=here"]) == 0
    config = yaml.safe_load(Path("foreign/config.yaml").read_text())
    assert config["paths"]["data_dir"] == "here"


def test_the_folder_of_this_user_needs_no_word(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(run, Path("foreign"), unfinished, set_to(paths={"data_dir": str(tmp_path / "mine")}))
    monkeypatch.setenv("AECORE_DATA_DIR", "mine")
    assert main(["resume=foreign"]) == 0


@needs("mlflow")
def test_the_store_of_this_user_needs_no_word(run: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/there/mlflow.db"
    node = {"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": uri, "experiment": "mine"}
    copied(run, Path("foreign"), unfinished, set_to(logger=node))
    assert main(["resume=foreign"]) == 2 and not Path("there").exists()
    assert main(["resume=foreign", f"paths.output_dir={tmp_path}/there"]) == 0
    assert Path("there/mlflow.db").is_file()
    unfinished(Path("foreign"))
    assert main(["resume=foreign", "logger.uri=sqlite:///other.db"]) == 0
    assert Path("other.db").is_file()


def test_a_task_with_a_run_writes_to_places_of_this_user(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AECORE_DATA_DIR", raising=False)
    caches = {"ood": {"faces": FACES | {"cache_dir": "evil"}}}
    logger = {"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": "sqlite:///evil", "experiment": "x"}
    place = copied(
        run, Path("foreign"),
        set_to(evaluate=caches, paths={"data_dir": "evil", "output_dir": "evil"}, out="evil",
               dataset={"cache_dir": "evil"}, logger=logger, task="compare"),
    )  # fmt: skip
    request = use_of_run(str(place), parse([f"run={place}", "task=evaluate"]))
    config = request.config
    assert config["paths"] == {"data_dir": "data", "output_dir": "outputs"}
    assert config["evaluate"]["ood"]["faces"]["cache_dir"] is None
    assert config["dataset"]["cache_dir"] is None and config["out"] is None
    assert "tensorboard" in config["logger"]["_target_"]
    assert "evil" not in json.dumps(config)
    assert request.folder().is_relative_to(place)


@pytest.mark.parametrize("name", ["../../evil", "/nowhere/evil", ".evil", "a/b", "a\x1b[2J"])
def test_a_figure_has_no_path_for_a_name(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    node = {"_target_": "aecore.evaluation.figures.curves.Curves"}
    copied(run, Path("foreign"), configured(lambda c: c.update(figures={name: node})))
    assert "figures" in refused(capsys, "run=foreign", "task=evaluate")
    assert not [*Path().rglob("*evil*")]
    assert not any(Path(*[".."] * levels, "evil").exists() for levels in (1, 2, 3))


def test_comparing_reads_data_and_makes_none(run: Path) -> None:
    copied(run, Path("foreign"), configured(lambda c: c.update(
        paths={"data_dir": "evil", "output_dir": "outputs"},
        dataset={**{k: v for k, v in c["dataset"].items() if k != "_target_"}, **FACES},
    )))  # fmt: skip
    with pytest.raises(UserError, match="is not there"):
        Trials({"foreign": Path("foreign")})["foreign"]
    assert {path.name for path in Path().iterdir()} == {"foreign"}


def test_init_from_takes_weights_and_nothing_else(run: Path) -> None:
    hostile = set_to(task="compare", out="evil", paths={"data_dir": "evil", "output_dir": "evil"})
    copied(run, Path("foreign"), hostile)
    shutil.rmtree("foreign/figures", ignore_errors=True)
    argv = [*TINY, "model=vae", "latent.dim=2", "init_from=foreign", "hydra.run.dir=mine"]
    assert main(argv) == 0
    assert {path.name for path in Path().iterdir()} == {"foreign", "mine"}
