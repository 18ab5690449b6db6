"""Every experiment and study of the project, whole, on small data; and the page written of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from writing import small_mnist

from aecore.cli import main
from aecore.compose import compose, parse
from aecore.reproduce.__main__ import main as reproduce
from aecore.reproduce.rows import documents
from aecore.roots import CONF, ROOT
from aecore.sweep import read

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
STUDIES = sorted(file.stem for file in (ROOT / "sweeps").glob("*.yaml"))
BUDGET = ["trainer.max_epochs=1", "logger=none", "dataset.eval_batch_size=100"]
SIZES = {"digits": [], "faces": ["dataset.images=80", "network.channels=[4,8]"]}
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


def small(word: str) -> list[str]:
    """The words that make an experiment or a study small."""
    config = compose(parse([word])).config
    dataset = str(config["dataset"]["_target_"]).rpartition(".")[2].lower()
    val = SIZED if config["dataset"]["val_size"] and dataset == "torchvision" else []
    return [word, *BUDGET, *SIZES.get(dataset, []), *val]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment(name: str) -> None:
    assert main(small(f"experiment={name}")) == 0
    (folder,) = Path("outputs", name).iterdir()
    asked = compose(parse([f"experiment={name}"])).config["figures"]
    drawn = {file.stem for file in (folder / "figures").iterdir()}
    assert {figure.removesuffix("_gif") for figure in asked} == drawn
    metrics = json.loads((folder / "metrics.json").read_text())
    assert all(isinstance(value, float | int) for value in metrics.values())
    assert not any(folder.rglob("error.txt"))


def shared_figures(folders: list[Path]) -> set[str]:
    """Names of the pictures that every run of a sweep left."""
    left = [{file.name for file in (folder / "figures").glob("*.png")} for folder in folders]
    return set.intersection(*left)


@pytest.mark.parametrize("name", STUDIES)
def test_study(name: str) -> None:
    job = compose(parse([f"sweeps={name}"]))
    told = any("experiment" in key for key in job.parameters) or job.words.get("experiment")
    if not job.sweeper.endswith(".BasicSweeper"):
        words = ["hydra.sweeper.n_trials=2", *BUDGET]
    elif told:
        words = [*BUDGET, "dataset.val_size=40", "evaluate.weights=last"]
    else:
        words = [*BUDGET, "dataset.train_size=200", "figures=none"]
        if "dataset.classes" in job.parameters:
            words += ["-m", "dataset.classes=0,1", "dataset.batch_size=8"]
    assert main([f"sweeps={name}", *words]) == 0
    (folder,) = Path("outputs/sweeps", name).iterdir()
    sweep = read(folder)
    assert sweep is not None and len(sweep.folders) > 1
    assert {file.name for file in (folder / "figures").glob("*.png")} >= (
        shared_figures(sweep.folders) if told else set()
    )
    assert (folder / "report.html").is_file()


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
    job = compose(parse([command]))
    swept = job.parameters.get("experiment", "").split(",")
    return {*swept, str(job.words.get("experiment"))}


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
