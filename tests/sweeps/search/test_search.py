"""Searches through the command line: what is refused, and whole ones."""

from __future__ import annotations

import csv
import json
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra 'optuna'")

from optuna.trial import FrozenTrial, TrialState  # noqa: E402

from aecore.cli import main  # noqa: E402
from aecore.runs.folder import read_history, read_metrics  # noqa: E402
from helpers.commands import called, started  # noqa: E402
from helpers.dying_penalties import write_yaml  # noqa: E402
from helpers.locks import held  # noqa: E402

TINY = [
    "trainer.max_epochs=1", "network.hidden=[8]", "dataset.train_size=256", "figures=none",
    "logger=none",
]  # fmt: skip
SEARCH = ["-m", "hydra/sweeper=optuna", "optimized_metric=val/loss", "hydra.sweep.dir=s", *TINY]
SPACE = ["latent.dim=range(2,9)", "optimizer.lr=tag(log,interval(1e-4,1e-2))"]
FOLDER = Path("s")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trials(url: str = "sqlite:///s/study.db") -> list[FrozenTrial]:
    """What a study knows."""
    return optuna.load_study(study_name=None, storage=url).trials


def states() -> list[str]:
    """How the trials of the search ended."""
    return [trial.state.name for trial in trials()]


def folders(sweep: Path = FOLDER) -> set[str]:
    """The names of the run folders."""
    return {path.parent.name for path in sweep.glob("*/config.yaml")}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: must be"),
        (["hydra.sweeper.n_trials=many"], "hydra.sweeper.n_trials=many: must be a valid integer"),
        (["hydra.sweeper.n_jobs=0"], "hydra.sweeper.n_jobs=0"),
        (["hydra.sweeper.direction=down"], "hydra.sweeper.direction=down"),
        (["hydra.sweeper.sampler=grid"], "hydra.sweeper.sampler=grid"),
        (["hydra.sweeper.pruner=median2"], "hydra.sweeper.pruner=median2"),
        (["hydra.sweeper.warmup=-1"], "hydra.sweeper.warmup=-1"),
        (["hydra.sweeper.seed=-1"], "hydra.sweeper.seed=-1"),
        (["hydra.sweeper.n_trial=3"], "did you mean 'n_trials'"),
        (["hydra.sweeper.storage=sqlite:///x.db"], "hydra.sweeper.study_name="),
        (["optimized_metric=null"], "optimized_metric=val/loss"),
        (["optimized_metric=test/mse"], "optimizing a test metric is refused"),
        (["optimized_metric=val/kll", "hydra.sweeper.direction=minimize"], "did you mean 'val/kl'"),
        (["optimized_metric=val/kl"], "hydra.sweeper.direction="),
        (["dataset.val_size=0"], "known: train/loss"),
        (["latent.dim=range(0,4)"], "latent.dim=0"),
        (["latent.dim=4", "optimizer.lr=0.1"], "nothing varies"),
        (["latent.dim=tag(log,interval(0,4))"], "latent.dim=tag(log,interval(0,4))"),
        (["latent.dmi=range(2,4)"], "latent.dmi"),
        (["hydra.sweep.subdir=${seed}"], "hydra.sweep.subdir: the folders of trials are numbered"),
    ],
)
def test_what_is_refused_before_anything_trains(
    overrides: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SEARCH, *SPACE, *overrides]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) <= 3
    assert not FOLDER.exists()


def test_what_is_solved_exactly_has_nothing_to_search(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["-m", "hydra/sweeper=optuna", "optimized_metric=val/loss", "hydra.sweep.dir=s"]
    assert main([*argv, "model=pca", SPACE[0]]) == 2
    assert "known: none" in capsys.readouterr().err
    assert not FOLDER.exists()


def test_a_storage_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("sqlite:///nowhere/all.db", "sqlite://", "what"):
        argv = [f"hydra.sweeper.storage='{url}'", "hydra.sweeper.study_name=a"]
        assert main([*SEARCH, *SPACE, *argv]) == 2
        where = url.replace("nowhere", str(Path("nowhere").absolute()))
        assert f"hydra.sweeper.storage={where}: cannot be used" in capsys.readouterr().err
        assert not list(Path().iterdir())


def test_an_interval_is_for_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", "latent.dim=interval(2,4)"]) == 2
    error = capsys.readouterr().err
    assert "latent.dim=interval(2,4)" in error and "hydra/sweeper=optuna" in error


def test_without_optuna_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("aecore.sweeps.search")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main([*SEARCH, *SPACE]) == 2
    assert "pip install -e '.[optuna]'" in capsys.readouterr().err


def test_a_study_is_searched_reported_and_its_best_can_be_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["sweeps=search_vae", *TINY, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=s"]
    assert main(argv) == 0
    record = json.loads(Path("s/sweep.json").read_text())
    assert record["search"]["space"].keys() == {"latent.dim", "optimizer.lr"}, "hidden is given"
    assert record["numbers"] == [0, 1, 2]
    assert folders() == {"0", "1", "2"}
    found = trials()
    assert [t.value for t in found] == pytest.approx(
        [read_history(FOLDER / str(t.number))[-1]["val/loss"] for t in found], rel=1e-5
    )
    page = Path("s/report.html").read_text()
    assert len(re.findall(r'class="picture" href="[^"]*">\s*<img src="data:image/png', page)) == 2
    assert "What val/loss depends on" in page
    out = capsys.readouterr().out
    assert "3 trials: 3 complete" in out
    (command,) = [line for line in out.splitlines() if line.startswith("run the best: ")]
    words = shlex.split(command.removeprefix("run the best: python run.py "))
    assert main([*words, "hydra.run.dir=best"]) == 0
    best = min(t.value for t in found if t.value is not None)
    assert read_history(Path("best"))[-1]["val/loss"] == pytest.approx(best, rel=1e-5)


def test_killed_and_resumed_it_ends_as_if_nothing_had_happened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = [*SEARCH, *SPACE, "hydra.sweeper.n_trials=3", "trainer.max_epochs=3"]
    assert main(argv) == 0
    whole = [(t.params, t.value, t.intermediate_values) for t in trials()]
    FOLDER.rename("whole")
    with started(*argv) as command:
        deadline = time.monotonic() + 60
        while not Path("s/1/history.csv").exists():
            assert command.process.is_alive() and time.monotonic() < deadline
            time.sleep(0.005)
        command.signal(signal.SIGKILL)
    assert TrialState.COMPLETE not in {t.state for t in trials()[1:]}
    first = Path("s/0/metrics.json").stat().st_mtime_ns
    assert main(["resume=s"]) == 0
    assert [(t.params, t.value, t.intermediate_values) for t in trials()] == whole
    assert folders() == {"0", "1", "2"}
    assert Path("s/0/metrics.json").stat().st_mtime_ns == first
    capsys.readouterr()
    assert main(["resume=s"]) == 0
    assert "0 to do" in capsys.readouterr().out
    assert main(["resume=s", "hydra.sweeper.n_trials=4"]) == 0
    assert states() == ["COMPLETE"] * 4
    assert main(["resume=s", "latent.dim=3"]) == 2
    with held(Path("s")):
        assert main(["resume=s"]) == 2
    Path("s/study.db").unlink()
    assert main(["resume=s"]) == 2
    assert "study.db" in capsys.readouterr().err


def test_workers_share_a_study() -> None:
    shared = ["hydra.sweeper.storage=sqlite:///shared.db", "hydra.sweeper.study_name=one"]
    argv = [*SEARCH, *SPACE, *shared, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2"]
    with started(*argv, "hydra.sweep.dir=a") as one, started(*argv, "hydra.sweep.dir=b") as other:
        assert [worker.wait().status for worker in (one, other)] == [0, 0]
    found = trials("sqlite:///shared.db")
    assert [t.state.name for t in found] == ["COMPLETE"] * 4
    assert len({t.params["optimizer.lr"] for t in found}) == 4, "no worker repeats the other"
    mine, theirs = folders(Path("a")), folders(Path("b"))
    assert mine | theirs == {"0", "1", "2", "3"}
    assert not mine & theirs


def test_another_study_of_that_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["hydra.sweeper.storage=sqlite:///shared.db", "hydra.sweeper.study_name=one"]
    first = [*SEARCH, *shared, "network.activation=relu,tanh", "hydra.sweeper.n_trials=1"]
    assert main(first) == 0
    capsys.readouterr()
    for number, other in enumerate(
        ["network.activation=relu,elu", "optimized_metric=val/reconstruction"]
    ):
        assert main([*first, other, f"hydra.sweep.dir=other{number}"]) == 2
        assert "hydra.sweeper.study_name=one" in capsys.readouterr().err
        assert not Path(f"other{number}").exists()


def test_a_failed_trial_is_told_and_the_search_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["model=ae", "optimizer=sgd", "optimizer.lr=1e-3,1e6", "hydra.sweeper.n_trials=5"]
    assert main([*SEARCH, *argv]) == 1
    found = trials()
    for trial in found:
        failed = trial.params["optimizer.lr"] == "1000000.0"
        assert (trial.state == TrialState.FAIL) == failed
        assert ("became" in trial.user_attrs.get("error", "")) == failed
        assert (read_metrics(FOLDER / str(trial.number)) is None) == failed
    assert {"FAIL", "COMPLETE"} == set(states())
    assert f"{states().count('FAIL')} failed" in capsys.readouterr().out
    assert main(["resume=s"]) == 1
    again = trials()[5:]
    assert len(again) == sum(trial.state == TrialState.FAIL for trial in found)
    assert all(trial.params["optimizer.lr"] == "1000000.0" for trial in again)


def test_failed_trials_are_tried_again_with_their_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_yaml(Path("words"), rank=0)
    argv = ["--config-dir", "words", *SEARCH, SPACE[0], "hydra.sweeper.n_trials=2", "model=ae"]
    called(*argv, "penalty=failing", status=1)
    assert states() == ["FAIL", "FAIL"]
    Path("healed").touch()
    called("--config-dir", "words", "resume=s")
    assert states() == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    first, second = trials()[:2], trials()[2:]
    assert [trial.params for trial in first] == [trial.params for trial in second]
    with (FOLDER / "summary.csv").open() as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["finished"] * 2
    assert main(["--config-dir", "words", "resume=s", "hydra.sweeper.n_trials=3"]) == 0
    assert states().count("COMPLETE") == 3


def test_a_pruned_trial_ends_early_and_leaves_a_whole_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = [
        "trainer.max_epochs=3", "optimizer.lr=1e-2,1e-7", "hydra.sweeper.n_trials=6",
        "hydra.sweeper.sampler=random", "hydra.sweeper.seed=2", "hydra.sweeper.pruner=median",
        "hydra.sweeper.warmup=2",
    ]  # fmt: skip
    assert main([*SEARCH, *argv]) == 0
    assert states() == ["COMPLETE"] * 5 + ["PRUNED"]
    assert "fewer epochs: 5\n" in capsys.readouterr().out
    for trial in trials():
        folder = FOLDER / str(trial.number)
        rows = read_history(folder)
        assert [row["val/loss"] for row in rows] == list(trial.intermediate_values.values())
        assert len(rows) == (2 if trial.state == TrialState.PRUNED else 3)
        assert read_metrics(folder) is not None
        if trial.state == TrialState.PRUNED:
            assert trial.params["optimizer.lr"] == "1e-07"
            assert main([f"resume={folder}"]) == 0
            assert len(read_history(folder)) == len(rows), "it is over"
