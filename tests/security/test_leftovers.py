"""What a killed run leaves is removed by the next, and nothing that it logged appears twice."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from aecore.cli import main
from aecore.errors import UserError
from aecore.runs.lock import writing
from helpers.event_files import read
from helpers.kills import MOMENTS, killed
from helpers.locks import held

RUN = [
    "model=ae", "network.hidden=[8]", "figures=none", "trainer.threads=1", "trainer.max_epochs=3",
    "trainer.log_every=5", "dataset.batch_size=100", "dataset.train_size=1000",
    "trainer/accelerator=cpu",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def points(folder: Path) -> Counter[tuple[str, str, int]]:
    """How often TensorBoard shows each step of each line: (part, tag, step)."""
    found: Counter[tuple[str, str, int]] = Counter()
    for part in ("", "train", "val", "test"):
        events = read(folder, part)
        kinds = {"scalars": events.Scalars, "tensors": events.Tensors,
                 "images": events.Images, "histograms": events.Histograms}  # fmt: skip
        for kind, values in kinds.items():
            found.update((part, tag, e.step) for tag in events.Tags()[kind] for e in values(tag))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[str, str, int]]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*RUN, f"hydra.run.dir={folder}"]) == 0
    return points(folder)


def age(folder: Path) -> None:
    """Make event files older: their order is that of the seconds in their names."""
    for path in list(folder.rglob("events.out.tfevents.*")):
        parts = path.name.split(".")
        parts[3] = f"{int(parts[3]) - 60:010d}"
        path.rename(path.with_name(".".join(parts)))


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_point_appears_twice(moment: str, whole: Counter[tuple[str, str, int]]) -> None:
    """Killed once, and where it meets that moment in its second life again."""
    run = Path("run").absolute()
    for _ in range(1 if moment == "at the end of the training" else 2):
        killed(RUN, run, moment)
        age(run)
    assert main(["resume=run"]) == 0
    found = points(run)
    assert set(found.values()) == set(whole.values()) == {1} and len(whole) > 50
    lost = {step for *_, step in whole.keys() - found.keys()}
    assert not found.keys() - whole.keys()
    assert lost == ({30} if moment == "at the end of the training" else set())


OURS = [
    ".metrics.json.123.tmp", ".steps.csv.9.tmp", "checkpoints/.last.ckpt.123.tmp",
    "checkpoints/.previous.ckpt.123.tmp", "figures/.curves.png.77.tmp",
]  # fmt: skip
OTHERS = [
    ".notes.tmp", "mine.123.tmp", ".metrics.json.123.tmp.old", "evaluate/x/.errors.csv.5.tmp",
    "checkpoints/epoch3.ckpt",
]  # fmt: skip


def test_files_that_were_about_to_be_written(tmp_path: Path) -> None:
    assert main([*RUN, "trainer.max_epochs=1", "hydra.run.dir=run"]) == 0
    before = {path for path in Path("run").rglob("*") if path.is_file()}
    with held(Path("run")):
        for name in (*OURS, *OTHERS):
            Path("run", name).parent.mkdir(parents=True, exist_ok=True)
            Path("run", name).write_text("half")
        with pytest.raises(UserError), writing(Path("run"), seconds=0):
            pass
    assert all(Path("run", name).exists() for name in OURS), "another process writes them"
    assert main(["resume=run"]) == 0
    kept = {Path("run", name) for name in OTHERS}
    assert {path for path in Path("run").rglob("*") if path.is_file()} == before | kept


def test_those_of_a_sweep() -> None:
    argv = ["-m", "seed=0,1", *RUN, "trainer.max_epochs=1", "logger=none"]
    assert main([*argv, "hydra.sweep.dir=sweep"]) == 0
    before = {path for path in Path("sweep").rglob("*") if path.is_file()}
    for name in (".sweep.json.1.tmp", "figures/.kernels.png.1.tmp", "1/.config.yaml.1.tmp"):
        Path("sweep", name).parent.mkdir(exist_ok=True)
        Path("sweep", name).write_text("half")
    os.rename("sweep/1/metrics.json", "sweep/1/.metrics.json.1.tmp")
    assert main(["resume=sweep"]) == 0
    assert {path for path in Path("sweep").rglob("*") if path.is_file()} == before
