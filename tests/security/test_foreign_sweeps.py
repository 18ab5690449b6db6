"""The record of a sweep that came from anywhere: it decides on values, and on nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from aecore.cli import main
from aecore.config.overrides import read
from aecore.errors import UserError
from aecore.runs.recorded import decides_launch, is_recordable
from aecore.runs.sweep import read_sweep
from helpers.extras import need, needs
from helpers.foreign_sweeps import (
    SEARCH,
    TINY,
    Tamper,
    below,
    launching,
    of_two_jobs,
    planned,
    recorded,
    resumed,
    searching,
    tampered,
    training,
)

EVIL = "{_target_: os.system, command: touch evil}"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "hush-hush")
    for group in ("penalty", "callbacks"):
        (tmp_path / "theirs" / group).mkdir(parents=True)
    node = f"evil:\n  _target_: evil.Evil\n  x: {EVIL}\n"
    (tmp_path / "theirs" / "penalty" / "evil.yaml").write_text(node)
    (tmp_path / "theirs" / "evil.py").write_text("open('evil', 'w')\n")
    (tmp_path / "theirs" / "config.yaml").write_text(f"hydra:\n  callbacks:\n    x: {EVIL}\n")


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What is told where `sweep` is not resumed; asserts that nothing happened but that."""
    before = below(Path())
    capsys.readouterr()
    assert resumed(Path("sweep"), *argv) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) <= 3 and err.startswith("error: ")
    assert "hush-hush" not in out + err
    assert below(Path()) == before
    return err


# what is asked for again, with the option that the message names
ASKED: dict[str, tuple[Tamper, str]] = {
    "a callback": (launching(f"+hydra.callbacks.x={EVIL}"), "hydra.callbacks.x"),
    "an environment": (launching("+hydra.job.env_set.PYTHONPATH=theirs"), "hydra.job.env_set"),
    "a subfolder": (launching("hydra.output_subdir=../evil"), "hydra.output_subdir"),
    "a log": (launching("hydra.job_logging.handlers.file.filename=evil"), "hydra.job_logging"),
    "a launcher": (launching(f"hydra.launcher={EVIL}"), "hydra.launcher"),
    "another's launcher": (launching("hydra/launcher=theirs"), "hydra/launcher"),
    "machines of others": (launching("hydra/launcher=ray_aws"), "hydra/launcher"),
    "a setup": (launching("hydra.launcher.setup=[touch evil]"), "hydra.launcher.setup"),
    "arguments": (launching("hydra.launcher.srun_args=[--x]"), "hydra.launcher.srun_args"),
    "parameters": (
        launching("hydra.launcher.additional_parameters={wrap: x}"),
        "hydra.launcher.additional_parameters",
    ),
    "a cluster": (launching("+hydra.launcher.ray.init.address=evil:1"), "hydra.launcher.ray.init"),
    "a partition of words": (
        launching("hydra.launcher.partition='x --wrap=y'"), "hydra.launcher.partition"
    ),
    "an interpolated partition": (
        launching("hydra.launcher.partition=$\\{oc.env:SECRET\\}"), "hydra.launcher.partition"
    ),
    "a search path": (launching("hydra.searchpath=[file://theirs]"), "hydra.searchpath"),
    "a path as a study": (launching("sweeps=../theirs/config"), "sweeps"),
    "an option of Hydra's node": (launching("dataset@hydra.callbacks.x=digits"), "dataset@hydra"),
    "what a record names so": (lambda r: r.update(unrecorded=["hydra.verbose"]), "hydra.verbose"),
    "their folder": (lambda r: r.update(flags=["--config-dir", "theirs"]), "--config-dir"),
    "their folders": (
        lambda r: r.update(flags=["--config-dir", "theirs", "--config-dir", "theirs"]),
        "--config-dir",
    ),
    "a data folder": (training("paths.data_dir=evil"), "paths.data_dir=evil"),
    "a cache": (
        training("dataset=image_folder", "dataset.root=theirs", "dataset.cache_dir=evil"),
        "dataset.cache_dir=evil",
    ),
    "a cache of other data": (
        training("+dataset@evaluate.ood.faces=faces", "evaluate.ood.faces.cache_dir=evil"),
        "evaluate.ood.faces.cache_dir=evil",
    ),
    "a store": (training("logger=mlflow", "logger.uri=sqlite:///evil"), "logger.uri=sqlite"),
    "a server": (training("logger=mlflow", "logger.uri='http://evil:1'"), "logger.uri="),
    "a store in another folder": (
        training("logger=mlflow", "paths.output_dir=evil"), "paths.output_dir=evil"
    ),
    "the network": (training("logger=wandb", "logger.mode=online"), "logger.mode=online"),
    "a database": (searching(storage="sqlite:///evil"), "hydra.sweeper.storage"),
    "a database elsewhere": (searching(storage="mysql://u:p@evil/x"), "hydra.sweeper.storage"),
    "a place of all trials": (
        searching(fixed=[*SEARCH["fixed"], "paths.data_dir=evil"]), "paths.data_dir=evil"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "named"), ASKED.values(), ids=ASKED)
def test_what_is_asked_for_again(
    tamper: Tamper, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "search" in tamper.__qualname__:
        need("optuna")
    of_two_jobs(Path("sweep"))
    tampered(Path("sweep"), tamper)
    assert named in refused(capsys)


REFUSED: dict[str, Tamper] = {
    "another task": training("task=compare", "out=evil"),
    "a list of tasks": training("task=[train]"),
    "an output": training("out=evil"),
    "a run": training("run=theirs"),
    "a callback": training(f"+hydra.callbacks.x={EVIL}"),
    "an environment": training("+hydra.job.env_set.PYTHONPATH=theirs"),
    "a subfolder": training("hydra.output_subdir=../evil"),
    "a folder": training("hydra.sweep.dir=evil"),
    "a class": training("network._target_=os.system"),
    "a class in a value": training(f"noise.steps=[{EVIL}]"),
    "a node": training(f"network={EVIL}"),
    "places in a mapping": training("paths={data_dir: evil, output_dir: evil}"),
    "an interpolation": training("dataset.root=${oc.env:SECRET}"),
    "an escaped one": training("dataset.root=$\\{oc.env:SECRET\\}"),
    "a quoted one": training("optimized_metric='${oc.env:SECRET}'"),
    "one in a list": training("network.hidden=[$\\{oc.env:SECRET\\}]"),
    "a file as an option": training("model=../../theirs/config"),
    "a file among options": training("penalty=[kl,../../theirs/penalty/evil]"),
    "an option of Hydra": training("dataset@hydra.callbacks=digits"),
    "a removal": training("~latent.dim"),
    "several values": training("seed=1,2"),
    "no override": training("--config-dir=theirs"),
    "no override of the sweep": launching("--config-dir=theirs"),
    "a name of a configuration": lambda r: r.update(flags=["--config-name", "../theirs/config"]),
    "another flag": lambda r: r.update(flags=["--config-path", "theirs"]),
    "half a flag": lambda r: r.update(flags=["--config-dir"]),
    "a node of a search": searching(space={"hydra.callbacks.x": SEARCH["space"]["latent.dim"]}),
    "values of a search": searching(
        space={"dataset.root": json.dumps({
            "name": "CategoricalDistribution", "attributes": {"choices": ["${oc.env:SECRET}"]}
        })}
    ),
    "no distribution": searching(space={"latent.dim": "{}"}),
    "another distribution": searching(space={"latent.dim": '{"name": "X", "attributes": []}'}),
    "what all trials have": searching(fixed=[f"+hydra.callbacks.x={EVIL}"]),
    "an unknown option": training("model=nothing"),
    "an unknown key": training("latent.nothing=1"),
    "a date that is none": training("trainer.max_epochs=2020-13-45", "latent.dim='${'"),
}  # fmt: skip


@pytest.mark.parametrize("tamper", REFUSED.values(), ids=REFUSED)
def test_what_is_never_taken(tamper: Tamper, capsys: pytest.CaptureFixture[str]) -> None:
    if "search" in tamper.__qualname__:
        need("optuna")
    of_two_jobs(Path("sweep"))
    tampered(Path("sweep"), tamper)
    refused(capsys)


def deep(depth: int) -> Any:
    node: Any = []
    for _ in range(depth):
        node = [node]
    return node


DAMAGED: dict[str, Any] = {
    "a list": [], "a number": 5, "nothing": None, "text": "x",
    "no keys": {}, "no jobs": {"jobs": None}, "one job": {"jobs": ["a=1"]},
    "numbers for jobs": {"jobs": [[1, 2]]}, "nulls for jobs": {"jobs": [None]},
    "lists in jobs": {"jobs": [[["latent.dim=2"]]]}, "depth": {"jobs": deep(300)},
    "overrides of numbers": {"overrides": [1]}, "overrides of text": {"overrides": "abc"},
    "flags of nulls": {"flags": [None, None]}, "flags of text": {"flags": "--config-dir"},
    "numbers of text": {"numbers": ["0", "1"]}, "numbers that are none": {"numbers": [True, False]},
    "numbers below zero": {"numbers": [-1, 0]}, "half numbers": {"numbers": [0.5, 1]},
    "one number twice": {"numbers": [1, 1]}, "names of numbers": {"names": [1, 2]},
    "too few names": {"names": ["a"]}, "a name that leads out": {"names": ["../a", "b"]},
    "a search of nothing": {"search": []}, "a search of text": {"search": "x"},
    "an empty search": {"search": {}}, "another key": {"more": 1},
    "a search of nulls": {"search": dict.fromkeys(SEARCH)},
    "keys of nothing": {"unrecorded": [None]}, "a mapping for keys": {"unrecorded": {"a": 1}},
    "a long number": {"jobs": [[f"latent.dim={'9' * 5000}"], []]},
    "a deep value": {"jobs": [[f"network.hidden={'[' * 500}{']' * 500}"], []]},
    "escapes": {"jobs": [["\x1b[2J\n\n\n"]]}, "another format": {"format": 2},
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_record(content: Any, capsys: pytest.CaptureFixture[str]) -> None:
    of_two_jobs(Path("sweep"))
    whole = recorded(Path("sweep"))
    changed = whole | content if content and type(content) is dict else content
    Path("sweep/sweep.json").write_text(json.dumps(changed))
    told = refused(capsys)
    assert "sweep" in told.splitlines()[0] and len(told) < 1000
    with pytest.raises(UserError):
        read_sweep(Path("sweep"))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '{"format": 1' + "0" * 5000 + "}", "\x00", "\xff", "NaN"],
    ids=repr,
)
def test_what_is_no_json(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sweep").mkdir()
    Path("sweep/sweep.json").write_bytes(text.encode("latin-1"))
    assert "sweep.json: damaged (" in refused(capsys)


@pytest.mark.parametrize(
    "line",
    [
        "latent.dim=2", "model=vae", "penalty=[kl,l1]", "network.hidden=[8,4]", "task=train",
        "dataset.path='/abs/my photos'", "noise@evaluate.noise=gaussian", "experiment=null",
        "+dataset@evaluate.ood.kmnist=kmnist", "trainer/accelerator=cpu", "optimizer.lr=1e-3",
        "penalty.kl.weight=0.5", "init_from=outputs/x/y", "dataset.classes=[cat,'a b']",
        "++latent.dim=2", "sampler.covariance=null", "conditional=true",
    ],
)  # fmt: skip
def test_what_a_record_may_hold(line: str) -> None:
    (override,) = read([line])
    assert is_recordable(override)


@pytest.mark.parametrize(
    "line",
    [
        "hydra/launcher=joblib", "hydra/launcher=submitit_slurm", "hydra.launcher.n_jobs=2",
        "hydra.launcher.timeout_min=60", "hydra.launcher.mem_gb=1.5", "sweeps=latent_dim",
        "hydra.launcher.partition=gpu-a100", "hydra.launcher.qos=null", "experiment=manifold",
    ],
)  # fmt: skip
def test_what_may_decide_on_the_launch(line: str) -> None:
    (override,) = read([line])
    assert decides_launch(override)


def test_interpolations_are_recorded_as_their_values(tmp_path: Path) -> None:
    np.savez("my photos.npz", x=np.zeros((20, 4, 4), np.float32))
    place = ["dataset=arrays", "dataset.path=${oc.env:PWD}/my photos.npz", "dataset.val_size=0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PWD", str(tmp_path))
        sweep = planned(Path("sweep"), "latent.dim=2,3", "network.hidden=['${latent.dim}']", *place)
    for job, dim in zip(sweep.jobs, "23", strict=True):
        assert f"network.hidden=[{dim}]" in job
    assert recorded(Path("sweep"))["unrecorded"] == []
    assert resumed(Path("sweep")) == 0
    config = yaml.safe_load(Path("sweep/1/config.yaml").read_text())
    assert config["network"]["hidden"] == [3]
    assert config["dataset"]["path"] == f"{tmp_path}/my photos.npz"


def test_what_is_not_recorded_is_named_and_taken_again(capsys: pytest.CaptureFixture[str]) -> None:
    planned(Path("sweep"), "seed=0,1", "hydra.job.env_set.MINE=hush", "hydra.verbose=true")
    record = recorded(Path("sweep"))
    assert record["unrecorded"] == ["hydra.job.env_set.MINE", "hydra.verbose"]
    assert "hush" not in json.dumps(record) and record["overrides"] == []
    told = refused(capsys, "hydra.verbose=false")
    assert told.splitlines()[0] == (
        "error: sweep: hydra.job.env_set.MINE is not recorded: give it again"
    )
    assert "hydra.job.env_set.MINE=..." in told
    assert resumed(Path("sweep"), "hydra.verbose=false", "hydra.job.env_set.MINE=x") == 0
    assert Path("sweep/1/metrics.json").is_file()


@needs("slurm")
def test_settings_of_a_launcher(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["hydra.launcher.setup=[module load x]", "hydra.launcher.timeout_min=5"]
    planned(Path("sweep"), "seed=0,1", "hydra/launcher=submitit_local", settings[1])
    tampered(Path("sweep"), launching(settings[0]))
    assert recorded(Path("sweep"))["overrides"][:2] == [
        "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5",
    ]  # fmt: skip
    assert "hydra.launcher.setup is not recorded: give it again" in refused(capsys)
    assert resumed(Path("sweep"), "hydra/launcher=basic") == 0, "which has no use for it"


def test_a_place_that_is_given_again_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    faces = ["dataset=faces", "dataset.images=20", "dataset.image_size=16", "dataset.val_size=0",
             "dataset.batch_size=4"]  # fmt: skip
    planned(Path("sweep"), "latent.dim=2,3", *faces, "paths.data_dir=mine", "paths.output_dir=out")
    told = refused(capsys)
    assert "paths.data_dir=mine: leads elsewhere" in told and "output_dir" not in told
    shutil.rmtree("mine")  # drawn to check the sweep
    assert resumed(Path("sweep"), "paths.data_dir=other") == 0
    assert Path("other").is_dir() and not Path("mine").exists()
    config = yaml.safe_load(Path("sweep/1/config.yaml").read_text())
    assert config["paths"]["data_dir"] == "other"


def test_the_folder_of_this_user_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(Path("sweep"), "latent.dim=2,3", "paths.data_dir=mine")
    monkeypatch.setenv("AECORE_DATA_DIR", str(Path("mine").absolute()))
    assert resumed(Path("sweep")) == 0


def test_runs_in_it_are_foreign_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed=0", *TINY, "hydra.run.dir=begun"]) == 0
    Path("begun/metrics.json").unlink()
    planned(Path("sweep"), "seed=0,1,2,3")
    changes: list[dict[str, Any]] = [
        {"task": "compare", "out": "evil", "runs": "sweep"},
        {"paths": {"data_dir": "evil", "output_dir": "outputs"}},
        {"logger": {"_target_": "aecore.training.loggers.mlflow.MLflow", "uri": "sqlite:///evil",
                    "experiment": "x"}},
        {"out": "evil", "runs": "evil"},
    ]  # fmt: skip
    for n, change in enumerate(changes):
        shutil.copytree("begun", f"sweep/{n}")
        path = Path(f"sweep/{n}/config.yaml")
        config = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(config | {"seed": n} | change))
    assert resumed(Path("sweep")) == 1
    told = capsys.readouterr().err
    assert "job 1/4: failed: " in told and "only a training" in told
    assert "job 2/4: failed: " in told and "paths.data_dir=evil: leads elsewhere" in told
    assert "job 3/4: failed: " in told and "logger.uri=sqlite:///evil: leads elsewhere" in told
    assert Path("sweep/3/metrics.json").is_file() and not Path("evil").exists()


@needs("optuna")
def test_a_trial_alone_does_not_open_another_database(capsys: pytest.CaptureFixture[str]) -> None:
    planned(Path("sweep"), "seed=0,1")
    assert resumed(Path("sweep")) == 0
    Path("sweep/0/metrics.json").unlink()
    tampered(Path("sweep"), searching(storage="sqlite:////nowhere/evil.db"))
    assert resumed(Path("sweep/0")) == 2
    told = capsys.readouterr().err
    assert "hydra.sweeper.storage=sqlite:////nowhere/evil.db: it leads elsewhere" in told


@needs("optuna")
def test_a_search_goes_on_with_what_is_given_again(capsys: pytest.CaptureFixture[str]) -> None:
    planned(Path("sweep"), "seed=0,1")
    fixed = [*SEARCH["fixed"], "paths.data_dir=mine"]
    tampered(Path("sweep"), searching(fixed=fixed, storage="sqlite:////nowhere/evil.db"))
    assert "hydra.sweeper.storage is not recorded" in refused(capsys, "paths.data_dir=mine")
    given = ["paths.data_dir=here", "hydra.sweeper.storage=sqlite:///own.db"]
    assert resumed(Path("sweep"), *given) == 0
    config = yaml.safe_load(Path("sweep/0/config.yaml").read_text())
    assert config["paths"]["data_dir"] == "here" and Path("own.db").is_file()


def test_a_search_by_the_command_line_keeps_what_is_not_recorded() -> None:
    need("optuna")
    argv = ["-m", "hydra/sweeper=optuna", *TINY, "optimized_metric=val/loss",
            "hydra.sweeper.n_trials=1", "hydra.sweep.dir=sweep", "hydra.job.env_set.MINE=x",
            "latent.dim=choice(2,3)", "network.hidden=['${latent.dim}']"]  # fmt: skip
    assert main(argv) == 0
    config = yaml.safe_load(Path("sweep/0/config.yaml").read_text())
    assert config["network"]["hidden"] == [config["latent"]["dim"]]
    record = recorded(Path("sweep"))
    assert sorted(record["unrecorded"]) == ["hydra.job.env_set.MINE", "network.hidden"]
    more = ["hydra.sweeper.n_trials=2", "hydra.job.env_set.MINE=x"]
    assert resumed(Path("sweep"), *more) == 2
    assert resumed(Path("sweep"), *more, "network.hidden=['${latent.dim}']") == 0
    config = yaml.safe_load(Path("sweep/1/config.yaml").read_text())
    assert config["network"]["hidden"] == [config["latent"]["dim"]]
