"""`hydra.sweep.subdir`: run folders with names, checked before the first job and in a record."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.runs.sweep import read_sweep
from aecore.sweeps.plan import job_names, points
from aecore.sweeps.selections import Selections, at_point
from helpers.commands import called

TINY = [
    "dataset=digits", "model=ae", "trainer.max_epochs=1", "network.hidden=[4]", "figures=none",
    "logger=none",
]  # fmt: skip
GRID = ["-m", *TINY, "latent.dim=2,8", "seed=0,1"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(sweep: Path) -> list[tuple[str, str, str, str]]:
    """Name, state and what varies of each run in the summary."""
    with (sweep / "summary.csv").open(newline="") as file:
        return [(r["name"], r["state"], r["latent.dim"], r["seed"]) for r in csv.DictReader(file)]


def test_a_sweep_with_names_is_resumed_and_compared(capsys: pytest.CaptureFixture[str]) -> None:
    said = called(*GRID, "hydra.sweep.subdir=dim${latent.dim}/seed_${seed}")
    (sweep,) = Path("outputs/sweeps/grid").iterdir()
    names = ["dim2/seed_0", "dim2/seed_1", "dim8/seed_0", "dim8/seed_1"]
    runs = [sweep / name for name in names]
    assert json.loads((sweep / "sweep.json").read_text())["names"] == names
    assert sorted(sweep.glob("*/*/metrics.json")) == [run / "metrics.json" for run in runs]
    assert f"-> {names[3]}\n" in said.out
    whole = [(n, "finished", d, s) for n, d, s in zip(names, "2288", "0101", strict=True)]
    assert rows(sweep) == whole
    assert f'href="{names[2]}/"' in (sweep / "report.html").read_text()

    (runs[1] / "metrics.json").unlink()
    shutil.rmtree(runs[2])
    kept = {run: (run / "metrics.json").stat().st_mtime_ns for run in (runs[0], runs[3])}
    assert "2 to do" in called("resume=last").out
    assert rows(sweep) == whole and len([*sweep.glob("*/*")]) == 4
    assert all((run / "metrics.json").stat().st_mtime_ns == when for run, when in kept.items())
    assert main([f"resume={sweep}", "hydra.sweep.subdir=${seed}"]) == 2

    (sweep / "report.html").unlink()
    assert main(["task=compare", f"runs={sweep}"]) == 0
    assert (sweep / "report.html").is_file() and not Path("outputs/comparisons").exists()


def named(*argv: str) -> tuple[Any, list[Any], list[str] | None]:
    """A command line, its points and the names of their folders."""
    arguments = parse(["-m", *argv])
    jobs = points(arguments, compose(arguments))
    return arguments, jobs, job_names(Selections(arguments), jobs)


def test_what_hydra_resolves() -> None:
    dirs = "hydra.sweep.subdir=${hydra.job.override_dirname}"
    arguments, jobs, names = named("model=ae,vae", "latent.dim=2,3", "seed=0", dirs)
    alone = [compose(at_point(arguments, job)).whole.hydra.job.override_dirname for job in jobs]
    assert names == alone and names[3] == "latent.dim=3,model=vae,seed=0"
    assert named("seed=4,5", "hydra.sweep.subdir=run${hydra.job.num}")[2] == ["run0", "run1"]
    assert named("seed=4,5", "hydra.sweep.subdir=n,${seed}")[2] == ["n,4", "n,5"]
    assert named("seed=4,5", "hydra.sweep.subdir=${hydra.job.num}")[2] is None
    assert named("seed=4,5")[2] is None


def test_a_study_names_its_runs() -> None:
    Path("own/sweeps").mkdir(parents=True)
    text = "# @package _global_\nhydra:\n  sweep:\n    subdir: s${seed}\n"
    Path("own/sweeps/mine.yaml").write_text(text)
    assert named("--config-dir", "own", "sweeps=mine", "seed=4,5")[2] == ["s4", "s5"]


@pytest.mark.parametrize(
    ("subdir", "told"),
    [
        ("${latent.dim}", "'2': 2 jobs would have the same folder"),
        ("/${seed}_${latent.dim}", "must be a relative path"),
        ("~/${seed}_${latent.dim}", "must be a relative path"),
        ("../${seed}_${latent.dim}", "begin with '.'"),
        ("a/..", "begin with '.'"),
        ("./${seed}_${latent.dim}", "begin with '.'"),
        (".hydra/${seed}_${latent.dim}", "begin with '.'"),
        ("''", "without an empty part"),
        ("${seed}//${latent.dim}", "without an empty part"),
        ("${seed}/${latent.dim}/", "without an empty part"),
        ("a/${seed}/${latent.dim}", "more than two levels"),
        ("sweep.json", "a file of the sweep"),
        ("figures/${seed}_${latent.dim}", "a file of the sweep"),
        ("x${seed}\t${latent.dim}", "not allowed"),
        ("x" * 256, "longer than 255 bytes"),
        ("${nowhere}", "cannot be resolved"),
        ("${hydra.job.id}", "cannot be resolved"),
    ],
)
def test_names_that_are_refused(
    subdir: str, told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*GRID, f"hydra.sweep.subdir={subdir}"]) == 2
    error = capsys.readouterr().err
    assert "hydra.sweep.subdir: " in error and told in error
    assert len(error.splitlines()) <= 3
    assert not list(tmp_path.iterdir())


def test_jobs_within_one_another_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*TINY, "-m", "model=ae,vae", "hydra.sweep.subdir=${oc.select:penalty.kl.schedule,a/b}"]
    assert main(argv) == 2
    assert "some jobs one level deep, others two" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["x", "../out"]},
        {"names": ["x", "/out"]},
        {"names": ["x", "${oc.env:HOME}"]},
        {"names": ["x", "x"]},
        {"names": ["x"]},
        {"names": ["x", 1]},
        {"names": "xy"},
        {"numbers": [0, "../out"]},
    ],
)
def test_a_foreign_record_stays_within_its_folder(
    change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, jobs, names = named(*TINY, "seed=0,1", "hydra.sweep.subdir=s${seed}")
    lines = [[o.line for o in job] for job in jobs]
    record = {"format": 1, "flags": [], "overrides": [], "jobs": lines, "names": names}
    Path("sweep").mkdir()
    Path("sweep/sweep.json").write_text(json.dumps(record))
    sweep = read_sweep(Path("sweep"))
    assert sweep is not None and sweep.folders == [Path("sweep/s0"), Path("sweep/s1")]
    Path("sweep/sweep.json").write_text(json.dumps(record | change))
    assert main(["resume=sweep"]) == 2
    assert "sweep/sweep.json: damaged (" in capsys.readouterr().err
    assert [path.name for path in Path().rglob("*")] == ["sweep", "sweep.json"]
