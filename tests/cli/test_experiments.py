"""Every experiment and study of the project, whole, on small data; and the page written of them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from PIL import Image

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import Composition, compose
from aecore.config.folders import CONF, ROOT
from aecore.runs.sweep import read_sweep
from aecore.sweeps.plan import check, points
from benchmarks.reproduce.__main__ import main as reproduce
from benchmarks.reproduce.rows import documents
from helpers.datasets import small_mnist
from helpers.extras import need

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
STUDIES = sorted(file.stem for file in (ROOT / "sweeps").glob("*.yaml"))
NUMBER = r"[\d.]+(e-?\d+)?"
BUDGET = ["trainer.max_epochs=1", "logger=none", "dataset.eval_batch_size=100"]
SIZES = {"digits": [], "faces": ["dataset.images=80", "network.channels=[4,8]"]}
# of studies that train on a few images of data which they choose themselves
FEW = {
    "one_class": ["dataset.batch_size=8"],
    "pca_one_class": ["dataset.batch_size=8", "latent.dim=5"],
    "disentanglement": ["dataset.batch_size=100", "dataset.test_size=200"],
}
SIZED = ["dataset.val_size=40"]  # of those that keep a validation split
ROWS = [row for document in documents() for row in document.rows]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    small_mnist(root)
    return root


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECORE_DATA_DIR", str(data))


def swept(study: str) -> set[str]:
    """The experiments over which a study goes."""
    text = (ROOT / "sweeps" / f"{study}.yaml").read_text()
    found = yaml.safe_load(text)["hydra"]["sweeper"]["params"].get("experiment", "")
    return set(found.split(",")) - {""}


@cache
def composed(word: str) -> Composition:
    """What one word says; not to be changed."""
    return compose(parse([word]))


def small(word: str) -> list[str]:
    """The words that make an experiment small."""
    config = composed(word).config
    dataset = str(config["dataset"]["_target_"]).rpartition(".")[2].lower()
    val = SIZED if config["dataset"]["val_size"] and dataset == "torchvision" else []
    return [word, *BUDGET, *SIZES.get(dataset, []), *val]


def is_whole(run: Path) -> bool:
    """Whether a run left every figure that its configuration asks for, numbers, and no error."""
    figures = yaml.safe_load((run / "config.yaml").read_text())["figures"]
    asked = {*figures} - {"format"}
    drawn = {file.stem for file in run.glob("figures/*")}
    metrics = json.loads((run / "metrics.json").read_text())
    return (
        {figure.removesuffix("_gif") for figure in asked} == drawn
        and all(isinstance(value, float | int) for value in metrics.values())
        and not any(run.rglob("error.txt"))
    )


@pytest.mark.parametrize("name", sorted(set(EXPERIMENTS) - set().union(*map(swept, STUDIES))))
def test_experiment(name: str) -> None:
    """Those over which no study goes: the studies run the others."""
    assert main(small(f"experiment={name}")) == 0
    (folder,) = Path("outputs", name).iterdir()
    assert is_whole(folder)


def shared_figures(folders: list[Path]) -> set[str]:
    """Names of the pictures that every run of a sweep left."""
    left = [{file.name for file in (folder / "figures").glob("*.png")} for folder in folders]
    return set.intersection(*left)


def ends(key: str, values: str) -> str:
    """The first and the last of a list of numbers, one seed; all of any other list."""
    found = values.split(",")
    if key == "seed":
        return found[0]
    numbers = len(found) > 2 and all(re.fullmatch(NUMBER, value) for value in found)
    return f"{found[0]},{found[-1]}" if numbers else values


@pytest.mark.parametrize("name", STUDIES)
def test_study(name: str) -> None:
    """The ends of each row of numbers are run; what lies between is composed and built."""
    job = composed(f"sweeps={name}")
    told = any("experiment" in key for key in job.parameters) or job.choices.get("experiment")
    if job.sweeper != "basic":
        need("optuna")
        words = ["hydra.sweeper.n_trials=2", *BUDGET]
    elif told:
        words = [*BUDGET, "dataset.val_size=40", "evaluate.weights=last"]
    else:
        words = [*BUDGET, "dataset.train_size=200", "figures=none", *FEW.get(name, [])]
    words = ["-m", f"sweeps={name}", *words]
    shorter = [f"{key}={few}" for key, v in job.parameters.items() if (few := ends(key, v)) != v]
    assert main([*words, *shorter]) == 0
    (folder,) = Path("outputs/sweeps", name).iterdir()
    sweep = read_sweep(folder)
    assert sweep is not None and len(sweep.folders) > 1
    assert all(is_whole(run) for run in sweep.folders)
    assert {file.name for file in (folder / "figures").glob("*.png")} >= (
        shared_figures(sweep.folders) if told else set()
    )
    assert (folder / "report.html").is_file()
    if shorter:
        asked, ran = parse(words), [set(point) for point in sweep.jobs]
        check(asked, [p for p in points(asked, job) if {o.line for o in p} not in ran])


def test_each_row_names_what_there_is() -> None:
    for row in ROWS:
        group, _, name = row.command.partition("=")
        assert name in {"experiment": EXPERIMENTS, "sweeps": STUDIES}[group], row.name
    assert len({row.name for row in ROWS}) == len(ROWS)
    in_studies = {word for row in ROWS for word in words_of(row.command)}
    assert set(EXPERIMENTS) <= in_studies, "an experiment stands in no row"


def words_of(command: str) -> set[str]:
    """The experiments that a command runs."""
    group, _, name = command.partition("=")
    if group == "experiment":
        return {name}
    return {*swept(name), str(composed(command).choices.get("experiment"))}


def test_the_page_is_written_from_the_runs(capfd: pytest.CaptureFixture[str]) -> None:
    more = ["--set", *BUDGET, "--out", "runs", "--page", "page/RESULTS.md"]
    Path("page").mkdir()
    assert reproduce(["manifold", *more]) == 1  # all other rows have not been run
    text = Path("page/RESULTS.md").read_text()
    (line,) = [line for line in text.splitlines() if "experiment=manifold" in line]
    metrics = json.loads(Path("runs/manifold/metrics.json").read_text())
    assert f"{metrics['test/mse']:.4g}" in line and "0.0406" in line
    assert Image.open("page/docs/results/manifold.png").width == 400
    assert "manifold: train MSE is" in capfd.readouterr().err  # one epoch is not enough
    before = Path("runs/manifold/metrics.json").stat().st_mtime_ns
    reproduce(["manifold", *more])
    assert Path("runs/manifold/metrics.json").stat().st_mtime_ns == before


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce(["manifolds"]) == 2
    assert "did you mean 'manifold'" in capsys.readouterr().err
