"""One run, one writer: locks end with their process, workers with their leader."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aecore.cli import main
from aecore.config.folders import ROOT
from aecore.errors import UserError
from aecore.runs.checkpoint import BEST, LAST
from aecore.runs.lock import FILE, dismiss, identity, writing
from aecore.training import experiment
from aecore.training.module import Training
from helpers.commands import FORKED, called, started
from helpers.extras import need
from helpers.locks import PATIENCE, count, grab, held, report, until

TINY = ["model=ae", "network.hidden=[8]", "figures=none", "logger=none", "trainer.threads=1"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        with pytest.raises(UserError) as error, writing(tmp_path, "counting", seconds=0):
            pass
        first, _ = str(error.value).splitlines()
        assert f"another process (pid {process.pid} on host " in first
        assert first.endswith("is counting") and (tmp_path / FILE).is_file()


def test_it_ends_with_its_process_though_a_forked_child_lives(tmp_path: Path) -> None:
    with held(tmp_path, with_child=True) as process:
        until((tmp_path / "child").exists)
        child = int((tmp_path / "child").read_text())
        process.kill()
        process.join()
        os.kill(child, 0)  # it lives
        with writing(tmp_path, seconds=0):
            os.kill(child, signal.SIGKILL)
    assert not (tmp_path / FILE).exists()


def test_a_file_that_is_made_anew_each_time_is_one_lock(tmp_path: Path) -> None:
    """Its last holder deletes it, so that another may have opened what is no longer there."""
    (tmp_path / "count").write_text("0")
    processes = [FORKED.Process(target=count, args=(tmp_path, 25)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert (tmp_path / "count").read_text() == "100"


def test_what_a_worker_knows_of_its_leader(tmp_path: Path) -> None:
    answers = FORKED.Queue()

    def answer(leader: str) -> bool:
        FORKED.Process(target=report, args=(tmp_path, leader, answers)).start()
        return bool(answers.get(timeout=PATIENCE))

    assert not answer(identity())
    with writing(tmp_path):
        assert answer(identity())
        assert not answer(identity().replace(f"{os.getpid()}", "1")), "that of another leader"
        assert dismiss(tmp_path) and not dismiss(tmp_path)
        assert not answer(identity()), "which is not wanted any more"
        other = FORKED.Process(target=grab, args=(tmp_path,))
        other.start()
        other.join(PATIENCE)
        assert other.exitcode == 1, "and still nobody else writes"
    assert not answer(identity())


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(UserError, match="delete it"), writing(tmp_path):
        pass


def metrics(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "metrics.json").read_text())
    return {k: v for k, v in found.items() if not k.startswith("train/")}


def same_run(folder: Path, other: Path) -> None:
    """Equal metrics and histories but for times, and no other file."""
    assert metrics(folder) == metrics(other)
    rows = [list(csv.DictReader((f / "history.csv").open())) for f in (folder, other)]
    for row in (*rows[0], *rows[1]):
        del row["seconds"]
    assert rows[0] == rows[1]
    assert names(folder) == names(other)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_four_resumes_of_a_sweep_at_once() -> None:
    argv = ["-m", "seed=0,1,2", *TINY, "trainer.max_epochs=25"]
    with started(*argv, "hydra.sweep.dir=parts") as first:
        until(Path("parts/1/history.csv").exists)
        first.signal(signal.SIGKILL)
        first.process.join()
    with ExitStack() as stack:
        four = [stack.enter_context(started("resume=parts")) for _ in range(4)]
        done = [command.wait() for command in four]
    assert sorted(one.status for one in done) == [0, 2, 2, 2], [one.err for one in done]
    told = [one.err for one in done if one.status == 2]
    assert all("another process (pid " in e and len(e.splitlines()) == 2 for e in told)
    called(*argv, "hydra.sweep.dir=whole")
    for number in ("0", "1", "2"):
        same_run(Path("parts", number), Path("whole", number))
    assert names(Path("parts")) == names(Path("whole"))


def test_a_second_resume_of_a_run() -> None:
    """The run goes on undisturbed; tasks that only read it take no lock."""
    argv = [*TINY, "trainer.max_epochs=1000"]
    with started(*argv, "hydra.run.dir=run") as first:
        until(Path("run/checkpoints/previous.ckpt").exists)
        second = called("resume=run", status=2)
        assert f"another process (pid {first.pid} on host " in second.err
        assert "is training this run" in second.err
        called("run=run", "task=evaluate", "figures=none", "out=result")
        first.signal(signal.SIGTERM)
        assert first.wait().status == 143
    assert not Path("run", FILE).exists()


@pytest.mark.parametrize("which", ["best", "last"])
def test_the_weights_in_memory_are_tested(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process replaces every checkpoint as soon as the training has ended."""
    argv = [*TINY, "trainer.max_epochs=3", f"evaluate.weights={which}"]
    assert main([*argv, "hydra.run.dir=whole"]) == 0
    fit = experiment.fit

    def replaced(*args: Any) -> None:
        fit(*args)
        for name in (BEST, LAST):
            (Path("run/checkpoints") / name).write_bytes(b"of another process")

    monkeypatch.setattr(experiment, "fit", replaced)
    assert main([*argv, "hydra.run.dir=run"]) == 0
    assert metrics(Path("run")) == metrics(Path("whole"))


def test_the_best_weights_of_a_process_that_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No later epoch is better, as the model is destroyed again and again."""
    argv = [*TINY, "evaluate.weights=best", "trainer.max_epochs=2", "hydra.run.dir=run"]
    assert main(argv) == 0
    first = metrics(Path("run"))
    begin = Training.on_train_epoch_start

    def destroyed(self: Training) -> None:
        begin(self)
        for parameter in self.parameters():
            parameter.data.zero_()

    monkeypatch.setattr(Training, "on_train_epoch_start", destroyed)
    assert main(["resume=run", "trainer.max_epochs=3"]) == 0
    assert len(Path("run/history.csv").read_text().splitlines()) == 4
    assert metrics(Path("run")) == first


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def workers_of(pid: int) -> list[int]:
    """The worker processes of joblib that a process has started."""
    told = subprocess.run(
        ["ps", "-eww", "-o", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in told.splitlines()[1:]]
    return [int(r[0]) for r in rows if int(r[1]) == pid and "popen_loky" in r[2]]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_that_start_end_with_their_leader() -> None:
    need("joblib")
    argv = ["-m", "seed=0,1", *TINY, *JOBLIB]
    with started(*argv, environment=environment()) as leader:
        until(lambda: len(workers_of(leader.pid)) == 2)
        workers = workers_of(leader.pid)
        leader.signal(signal.SIGKILL)
        until(lambda: not any(map(lives, workers)))
    assert not list(Path("sweep").glob("*/metrics.json"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_their_leader_and_give_way_to_the_next() -> None:
    """One has nothing to do any more, and one trains, which saves its state."""
    need("joblib")
    argv = ["-m", "trainer.max_epochs=1,100", *TINY]
    two = environment(LOKY_MAX_CPU_COUNT="2")
    there = ["hydra/launcher=joblib", "hydra.sweep.dir=sweep"]
    with started(*argv, *there, environment=two) as leader:
        until(Path("sweep/0/metrics.json").exists)
        until(Path("sweep/1/history.csv").exists)
        workers = workers_of(leader.pid)
        assert len(workers) == 2
        leader.signal(signal.SIGKILL)
        assert main(["resume=sweep", "hydra/launcher=basic"]) == 0
        until(lambda: not any(map(lives, workers)))
    assert main([*argv, "trainer.threads=1", "hydra.sweep.dir=whole"]) == 0
    for number in ("0", "1"):
        same_run(Path("sweep", number), Path("whole", number))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_is_killed_before_its_first_job() -> None:
    need("joblib")
    argv = ["-m", "seed=0,1,2", *TINY, *JOBLIB, "trainer.max_epochs=1"]
    with started(*argv, environment=environment()) as leader:
        until(lambda: workers_of(leader.pid))
        os.kill(workers_of(leader.pid)[0], signal.SIGKILL)
        assert not list(Path("sweep").glob("*/.hydra")), "no job has started"
        done = leader.wait()
    assert done.status == 0, done.out + done.err
    assert "a worker was lost" in done.err and "Traceback" not in done.err
    assert len(list(Path("sweep").glob("[012]/metrics.json"))) == 3


def test_one_of_several_new_sweeps_gets_the_folder() -> None:
    argv = ["-m", *TINY, "trainer.max_epochs=1", "hydra.sweep.dir=sweep"]
    with ExitStack() as stack:
        several = [stack.enter_context(started(*argv, f"seed=1,{n}")) for n in (2, 3, 4)]
        done = [one.wait() for one in several]
    assert sorted(one.status for one in done) == [0, 2, 2]
    errors = [one.err for one in done if one.status]
    assert all("holds a sweep already" in text or "another process" in text for text in errors)
    assert main(["resume=sweep"]) == 0
