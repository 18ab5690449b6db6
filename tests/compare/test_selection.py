"""Which runs are compared, what is read of them, what differs, and the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from aecore.cli import main
from aecore.compare.runs import gather
from aecore.compare.select import select
from aecore.compare.table import summarise
from aecore.compare.vary import varied
from aecore.errors import UserError
from aecore.runs.format import stamp
from helpers.run_folders import WORDS, make, sweep

# --- what is read ---


def test_states_are_told_and_damage_is_no_crash(tmp_path: Path) -> None:
    done = make(tmp_path / "done", metrics={"test/mse": 1.0, "test/psnr": None})
    failed = make(tmp_path / "failed", error="\x1b[31mlatent.dim=0\x1b[0m: at least 1\nTraceback")
    running = make(tmp_path / "running")
    empty = tmp_path / "empty"
    empty.mkdir()
    torn = make(tmp_path / "torn", metrics={"test/mse": 1.0})
    (torn / "metrics.json").write_text('{"test/mse": 1')
    wrong = make(tmp_path / "wrong", metrics={"test/mse": 1.0})
    (wrong / "metrics.json").write_text('{"test/mse": "low"}')
    broken = make(tmp_path / "broken", metrics={"test/mse": 1.0})
    (broken / "config.yaml").write_bytes(b"\xff\xfe: [")
    executed = make(tmp_path / "executed", metrics={"test/mse": 1.0})
    (executed / "config.yaml").write_text("a: !!python/object/apply:os.mkdir [evil]")
    runs = gather([done, failed, running, empty, tmp_path / "no", torn, wrong, broken, executed])
    assert [run.state for run in runs] == ["finished", "failed", *["unfinished"] * 7]
    assert [run.error for run in runs] == [
        None, "latent.dim=0: at least 1", "running or interrupted, 2 of 3 epochs done",
        "not started", "not started", "metrics.json is damaged",
        "metrics.json is damaged", "config.yaml is damaged",
        "config.yaml is damaged",
    ]  # fmt: skip
    assert runs[0].metrics == {"test/mse": 1.0, "test/psnr": None}
    assert runs[0].epochs == 2
    assert all(run.metrics is None for run in runs[1:])
    assert runs[0].values["latent.dim"] == 2
    assert runs[0].values["model"] == "ae"


def test_a_grid_tells_the_values_of_jobs_that_left_nothing(tmp_path: Path) -> None:
    folders = [*sweep(tmp_path, (2,), (0,)), tmp_path / "missing"]
    grid = [{"latent.dim": "2", "penalty.kl.weight": "1e-3"}, {"latent.dim": "8", "model": "vae"}]
    one, other = gather(folders, grid)
    assert one.values["penalty.kl.weight"] == 1e-3
    assert other.values == {"latent.dim": 8, "model": "vae"}
    with pytest.raises(ValueError, match="shorter"):
        gather(folders, grid[:1])


# --- what differs ---


def test_varied_keys_are_words_then_asked_keys_without_what_follows(tmp_path: Path) -> None:
    kl = {"penalty.kl._target_": "aecore.model.penalties.kl.KL", "penalty.kl.weight": 1.0}
    folders = [
        make(
            tmp_path / f"{model}{dim}{seed}",
            words={"model": model, "penalty": "kl" if model == "vae" else "none"},
            config={
                "seed": seed, "latent.dim": dim, "paths.output_dir": f"out{dim}",
                "trainer.threads": dim, **(kl if model == "vae" else {}),
            },
            asked=[f"model={model}", f"latent.dim={dim}", f"seed={seed}"],
        )
        for model in ("ae", "vae") for dim in (2, 8) for seed in (0, 1)
    ]  # fmt: skip
    assert varied(gather(folders)) == ["model", "latent.dim"]


def test_what_no_chosen_key_explains_is_varied_though_nobody_asked(tmp_path: Path) -> None:
    one = make(tmp_path / "a", config={"latent.dim": 2})
    two = make(tmp_path / "b", config={"latent.dim": 8})
    assert varied(gather([one, two])) == ["latent.dim"]
    assert varied(gather([one, one])) == []


def test_where_and_on_what_a_task_works_is_not_varied(tmp_path: Path) -> None:
    plain = {"out": None, "split": None, "resize": False, "run": None, "paths.data_dir": "data"}
    other = {"out": "there", "split": "val", "resize": True, "run": "last", "paths.data_dir": "b"}
    asked = [f"{key}={value}" for key, value in other.items()]
    one = make(tmp_path / "a", config=plain, metrics={"test/mse": 1.0})
    two = make(tmp_path / "b", config=other, asked=asked, metrics={"test/mse": 1.0})
    assert [len(group.runs) for group in summarise(gather([one, two])).groups] == [2]


def test_a_grid_decides_what_was_varied(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    grid = [
        {"latent.dim": str(d), "seed": str(s), "trainer.max_epochs": "3"}
        for d in (2, 8)
        for s in (0, 1, 2)
    ]
    assert varied(gather(folders, grid)) == ["latent.dim"]


def test_a_failed_job_without_a_configuration_varies_nothing_more(tmp_path: Path) -> None:
    folders = sweep(tmp_path)
    lost = tmp_path / "6"
    (lost / ".hydra").mkdir(parents=True)
    (lost / ".hydra" / "overrides.yaml").write_text(
        "- latent.dim=32\n- seed=0\n- latent.steps=[64,1e-3]\n- penalty=[l1,kl]\n- model='ae'\n"
    )
    for folder in folders:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["latent"]["steps"] = [64, 0.001]
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        choices = WORDS | {"penalty": ["l1", "kl"]}
        record = {**stamp(), "choices": choices, "overrides": ["latent.dim=2"]}
        (folder / "run.json").write_text(json.dumps(record))
    (lost / "error.txt").write_text("no")
    table = summarise(gather([*folders, lost]))
    assert table.keys == ("latent.dim",)
    assert [(g.values["latent.dim"], g.finished) for g in table.groups] == [(2, 3), (8, 3), (32, 0)]


# --- which runs ---


def test_selection_by_path_pattern_list_and_sweep(tmp_path: Path) -> None:
    folders = sweep(tmp_path / "s", (2,), tuple(range(11)))
    (tmp_path / "s" / "11").mkdir()
    (tmp_path / "s" / "multirun.yaml").touch()
    whole = [*folders, tmp_path / "s" / "11"]
    assert select(str(tmp_path / "s")) == whole, "natural order, the job not begun included"
    assert select(str(tmp_path / "s" / "*")) == whole
    assert select(str(tmp_path)) == whole
    assert select(f"{folders[3]},{tmp_path / 's' / '[12]'}") == [folders[3], folders[1], folders[2]]
    assert select([str(folders[1]), str(folders[0])]) == [folders[1], folders[0]]
    assert select([str(folders[2]), str(folders[2])]) == [folders[2]]


@pytest.mark.parametrize("name", ["a b", "lr=0.1,dim=[2]", "[ab]", "it's", "x*"])
def test_a_path_that_exists_is_no_pattern(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / name / "0")
    make(tmp_path / "a" / "0")
    make(tmp_path / "xy" / "0")
    assert select(str(folder)) == select(str(tmp_path / name)) == [folder]
    assert select(str(tmp_path / name / "*")) == [folder]


def test_nothing_selected_says_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=rf"looked in {tmp_path}/there\)\n.*task=list"):
        select(str(tmp_path / "there" / "none*"))


# --- the command line ---


def test_a_real_sweep_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["model=ae,pca", "latent.dim=2,3", "trainer=debug", "figures=strip", "logger=none"]
    assert main(["-m", *argv, "hydra.sweep.dir=outputs/sweeps/grid/a b"]) == 0
    capsys.readouterr()
    written = {p: p.read_bytes() for p in Path("outputs/sweeps/grid/a b").iterdir() if p.is_file()}
    assert main(["task=compare", "runs=outputs/sweeps/grid/a b/*"]) == 0
    assert {p: p.read_bytes() for p in written} == written, "the sweep had written the same"
    out = capsys.readouterr().out
    assert "report  outputs/sweeps/grid/a b/report.html" in out
    rows = list(
        csv.DictReader(Path("outputs/sweeps/grid/a b/summary.csv").read_text().splitlines())
    )
    assert [(r["name"], r["state"], r["model"], r["latent.dim"]) for r in rows] == [
        ("0", "finished", "ae", "2"), ("1", "finished", "ae", "3"),
        ("2", "finished", "pca", "2"), ("3", "finished", "pca", "3"),
    ]  # fmt: skip
    page = Path("outputs/sweeps/grid/a b/report.html").read_text()
    assert page.count("data:image/png") == 4
    assert main(["task=compare", "runs=outputs/sweeps/grid/a b/0,outputs/sweeps/grid/a b/3"]) == 0
    assert len(list(Path("outputs/comparisons").glob("*/report.html"))) == 1
    assert main(["task=compare", "runs=[outputs/sweeps/grid/a b/1]", "out=my [out],1"]) == 0
    assert Path("my [out],1/report.html").is_file()


def test_wrong_selections_are_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["task=compare"]) == 2
    assert "runs='outputs/sweeps/x/*'" in capsys.readouterr().err
    assert main(["task=compare", "runs=nowhere/*"]) == 2
    assert "runs=nowhere/*: no run there" in capsys.readouterr().err
    folder = make(tmp_path / "run", metrics={"test/mse": 1.0})
    assert main(["task=compare", f"runs={folder}", f"out={folder}"]) == 2
    assert "is itself a run" in capsys.readouterr().err
    assert not Path("outputs").exists()
