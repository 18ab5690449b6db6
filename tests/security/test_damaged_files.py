"""Damaged files of runs, sweeps and data: one line for each, and no run takes others with it."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aecore.cli import main
from aecore.data.sources.arrays import Arrays
from aecore.data.sources.image_folder import ImageFolder
from aecore.errors import UserError
from aecore.runs.folder import read_metrics
from aecore.runs.validation import read_plain
from aecore.training.loggers.step_csv import StepCSV
from helpers.commands import called
from helpers.damage import bytes_of
from helpers.damaged_runs import (
    ALWAYS,
    FILES,
    READERS,
    commands,
    damages,
    make_run,
    make_sweep,
    outcome,
    put,
    status_of,
    unfinish,
)

TRIES = int(os.environ.get("AECORE_FUZZ_TRIES", "2"))  # of each kind of damage to each file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    return make_run(tmp_path_factory.mktemp("made") / "whole")


def measured(run: Path) -> dict[str, float]:
    """Its metrics but for those of time."""
    metrics = read_metrics(run)
    assert metrics is not None
    return {name: value for name, value in metrics.items() if not name.startswith("train/")}


# --- readers ---


@pytest.mark.parametrize("name", FILES)
def test_every_reader_of_every_file(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "whole")
    outcomes = Counter[str]()
    work = tmp_path / "work"
    shutil.copytree(run, work)
    cases, rng = [*damages(run, name, random.Random(0), TRIES)], random.Random(0)
    for how, content in rng.sample(cases, min(len(cases), 15 * TRIES)):
        put(work / name, content)
        for key, read in READERS.items():
            try:
                found = outcome(read, work)
            except Exception as error:
                raise AssertionError(f"{key}: {how}") from error
            assert found == "read" or key not in ALWAYS, (key, how)
            outcomes[found] += 1
        capsys.readouterr()
    assert outcomes["read"] > 50


@pytest.mark.parametrize("deep", ["[", "{", "- ", "? "])
def test_depth_that_crashes_libyaml_is_refused(deep: str, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "run" / "config.yaml"
    shutil.copytree(run, path.parent)
    path.write_text(deep * (2**20 // len(deep) - 1))
    with pytest.raises(UserError, match=r"config\.yaml: damaged configuration"):
        read_plain(path)
    done = called("task=compare", f"runs={path.parent}", f"out={tmp_path / 'out'}")
    assert "config.yaml is damaged" in done.out and not done.err


def test_a_pipe_is_no_record(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Opening one waits for a writer, for ever."""
    shutil.copytree(run, tmp_path / "whole")
    for name in ("config.yaml", "run.json", "metrics.json", "history.csv", "error.txt"):
        work = tmp_path / "work"
        shutil.copytree(run, work)
        (work / name).unlink(missing_ok=True)
        os.mkfifo(work / name)
        for read in READERS.values():
            outcome(read, work)
        shutil.rmtree(work)


@pytest.mark.parametrize("name", FILES)
def test_a_command_is_done_or_refused(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few of the very many; a campaign tries them all."""
    shutil.copytree(run, tmp_path / "whole")
    rng = random.Random(name)
    cases = list(damages(run, name, random.Random(0), TRIES))
    for how, content in rng.sample(cases, min(len(cases), (TRIES + 1) // 2)):
        work = tmp_path / "work"
        shutil.copytree(run, work)
        if rng.random() < 0.5:
            unfinish(work)
        put(work / name, content)
        key, argv = rng.choice([*commands(work).items()])
        try:
            status_of(argv, work, lambda: capsys.readouterr().err)
        except Exception as error:
            raise AssertionError(f"{key}: {how}") from error
        shutil.rmtree(work)


# --- what resumes ---


@pytest.mark.parametrize("how", ["gone", "cut", "other"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_resume_restores_the_history(how: str, finished: bool, run: Path, tmp_path: Path) -> None:
    """Its rows are in the checkpoint."""
    work = tmp_path / "run"
    shutil.copytree(run, work)
    path = work / "history.csv"
    whole = path.read_text()
    if not finished:
        unfinish(work)
    if how == "gone":
        path.unlink()
    else:
        path.write_text(whole[:-9] if how == "cut" else "a,b\n\0,1\n")
    if how != "gone":
        with pytest.raises(UserError, match=r"history\.csv: damaged"):
            READERS["open"](work)
    assert main([f"resume={work}"]) == 0
    rows = [line.split(",") for line in path.read_text().splitlines()]
    expected = [line.split(",") for line in whole.splitlines()]
    seconds = expected[0].index("seconds")
    for row in (*rows, *([] if finished else expected)):
        row[seconds] = "" if not finished else row[seconds]
    assert rows == expected
    assert measured(work) == measured(run)


@pytest.mark.parametrize("text", ["", "{}", '{"test/mse": 0.', '{"test/mse": "low"}', "[]", "5"])
def test_a_run_with_damaged_metrics_is_evaluated_again(
    text: str, run: Path, tmp_path: Path
) -> None:
    work = tmp_path / "run"
    shutil.copytree(run, work)
    (work / "metrics.json").write_text(text)
    assert main([f"resume={work}"]) == 0
    assert measured(work) == measured(run)


def test_damaged_jobs_of_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One without whole metrics is done again; one that cannot be read costs only itself."""
    sweep = make_sweep(tmp_path / "sweep")
    expected = [measured(sweep / job) for job in ("0", "1")]
    (sweep / "1" / "metrics.json").write_text('{"test/mse": 0.1')
    capsys.readouterr()
    assert main([f"resume={sweep}"]) == 0
    assert "sweep of 2 jobs, 1 to do" in capsys.readouterr().out
    assert [measured(sweep / job) for job in ("0", "1")] == expected

    history = (sweep / "1" / "history.csv").read_bytes()
    (sweep / "1" / "history.csv").write_bytes(history[:-5])
    assert main([f"resume={sweep}"]) == 0
    assert "sweep of 2 jobs, 1 to do" in capsys.readouterr().out
    assert (sweep / "1" / "history.csv").read_bytes() == history
    assert [measured(sweep / job) for job in ("0", "1")] == expected

    for job in ("0", "1"):
        (sweep / job / "metrics.json").unlink()
    (sweep / "0" / "config.yaml").write_text("trainer: 5\n")
    assert main([f"resume={sweep}"]) == 1
    told = capsys.readouterr()
    assert "config.yaml" in told.err and "1 of 2 jobs failed" in told.out
    assert "Traceback" not in told.out + told.err + (sweep / "0" / "error.txt").read_text()
    assert measured(sweep / "1") == expected[1]


def test_the_checkpoint_before_a_damaged_one_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "run"
    shutil.copytree(run, work)
    (work / "metrics.json").unlink()
    last = work / "checkpoints/last.ckpt"
    content = last.read_bytes()
    last.unlink()  # it is a link to the best one
    last.write_bytes(content[: len(content) // 2])
    capsys.readouterr()
    assert main([f"resume={work}"]) == 0
    (line,) = (one for one in capsys.readouterr().err.splitlines() if "last.ckpt" in one)
    assert line.startswith("warning: ") and line.endswith("; previous.ckpt is used")
    assert measured(work) == measured(run)


def test_a_damaged_configuration_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "run"
    shutil.copytree(run, work)
    for text in ("", "5", "[]", "task: train", "{trainer: {max_epochs: [1]}}", "seed: 1e999"):
        (work / "config.yaml").write_text(text)
        for argv in ([f"resume={work}"], [f"run={work}", "task=evaluate"]):
            capsys.readouterr()
            assert main(argv) == 2
            lines = capsys.readouterr().err.splitlines()
            assert len(lines) <= 3 and "run" in lines[0]
    assert not (work / "evaluate").exists()


def test_whole_lines_of_a_log_are_kept(tmp_path: Path) -> None:
    """Whatever else stands in the file of an interrupted run."""
    path = tmp_path / "steps.csv"
    first = StepCSV(folder=tmp_path, purge_step=None)
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": 0.5}, step)
    whole = path.read_bytes()
    for how, content in bytes_of(whole, random.Random(0), 20 * TRIES):
        path.write_bytes(content)
        second = StepCSV(folder=tmp_path, purge_step=3)
        second.log_metrics({"train/loss": 0.25}, 3)
        lines = path.read_bytes().splitlines()
        assert lines[0] == b"step,metric,value" and lines[-1] == b"3,train/loss,0.25", how
    path.write_bytes(whole)
    StepCSV(folder=tmp_path, purge_step=3).log_metrics({"train/loss": 0.5}, 3)
    assert path.read_bytes() == whole


# --- data ---


def headers() -> Iterator[bytes]:
    """Files of NumPy whose headers are not those of an array of numbers, or lie about it."""
    dictionary = "{{'descr': {}, 'fortran_order': {}, 'shape': {}}}"
    kinds = (
        "'|u1'", "'<f4'", "'|O'", "'<U5'", "'<M8[s]'", "'V99999999999'", "'x'", "5", "None",
        "[('a', '|u1')]", "[('a', '|u1', (2,))]", "('|u1', (1000,))",
    )  # fmt: skip
    shapes = (
        "(9, 4, 4)", "(-9, 4, 4)", "(2**70,)", "(99999999999999, 4, 4)", "()", "(0, 4, 4)",
        "(9, 4, 4,) * 9", "'x'", "(1.5,)", "(True, 4, 4)", str((1,) * 70),
    )  # fmt: skip
    for descr in kinds:
        for order in ("False", "True", "7"):
            for shape in shapes:
                text = dictionary.format(descr, order, shape).encode() + b"\n"
                yield b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(144)
    for version in (b"\x00\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"):
        yield b"\x93NUMPY" + version + struct.pack("<I", 2**31 - 1) + bytes(144)
    yield b"\x93NUMPY\x01\x00" + struct.pack("<H", 60000) + b"(" * 60000


def told(path: Path) -> str | None:
    """What the user is told of a file of images, None where it is read."""
    source = Arrays(path=str(path), test_fraction=0.25)
    try:
        split = source.load("train", Path("nowhere"))
        source.whole(Path("nowhere"))
    except UserError as error:
        text = str(error)
        assert len(text.splitlines()) <= 3 and str(path) in text and len(text) < 1000
        return text
    assert split.images.dtype == torch.uint8 or split.images.isfinite().all()
    return None


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_lie(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    outcomes = Counter[bool]()
    for content in headers():
        if suffix == "npz":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr("x.npy", content)
            content = packed.getvalue()
        path.write_bytes(content)
        outcomes[told(path) is None] += 1
    assert outcomes[False] > 300 and outcomes[True] > 1


@pytest.mark.parametrize("suffix", ["npy", "npz", "compressed"])
def test_bytes_of_arrays(suffix: str, tmp_path: Path) -> None:
    path, images = tmp_path / "x.npz", np.arange(160, dtype=np.uint8).reshape(10, 4, 4)
    if suffix == "npy":
        path = tmp_path / "x.npy"
        np.save(path, images)
    else:
        save = np.savez if suffix == "npz" else np.savez_compressed
        save(path, x=images, y=np.arange(10) % 3)
    assert told(path) is None
    for _, content in bytes_of(path.read_bytes(), random.Random(0), 20 * TRIES):
        path.write_bytes(content)
        told(path)


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for n in range(5):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / f"{n}.png")
    (tmp_path / "9.png").write_bytes(b"none")

    def load() -> torch.Tensor:
        split = ImageFolder(
            root=str(tmp_path), image_size=8, channels=1, skip_broken=True, test_fraction=0.0,
            in_memory=False, cache_dir=str(tmp_path / "cache"),
        ).load("train", tmp_path)  # fmt: skip
        return split.pixels(torch.arange(len(split)))

    expected = load()
    assert len(expected) == 5
    (entry,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    pixels = (entry / "images.npy").read_bytes()
    start = len(pixels) - 6 * 64
    record = json.loads((entry / "record.json").read_text())
    for header in (
        pixels[:start].replace(b"False", b"True "), pixels[:start].replace(b"|u1", b"|i1"),
        pixels[:start].replace(b"(6, 1, 8, 8)", b"(6, 8, 1, 8)"), b"", pixels[: start - 1],
    ):  # fmt: skip
        (entry / "images.npy").write_bytes(header + pixels[start:])
        assert torch.equal(load(), expected)
    for size in (0, 10, start, len(pixels) - 1):
        os.truncate(entry / "images.npy", size)
        assert torch.equal(load(), expected)
    for broken in (None, -1, [-1], [99], [2**70], ["5"], [[]], {}, 10**400):
        (entry / "record.json").write_text(json.dumps({**record, "broken": broken}))
        assert torch.equal(load(), expected)
    for _, content in bytes_of(json.dumps(record).encode(), random.Random(0), TRIES):
        (entry / "record.json").write_bytes(content)
        assert torch.equal(load(), expected)


# --- searches ---


def test_a_damaged_study(tmp_path: Path) -> None:
    """Anywhere in the database: it is refused in two lines, or every trial can be read."""
    pytest.importorskip("optuna", reason="needs the extra 'optuna'")
    from aecore.sweeps.search.settings import SearchPlan
    from aecore.sweeps.search.study import opened

    plan = SearchPlan(
        n_trials=3, n_jobs=1, direction="minimize", storage=None, study_name="a", sampler="random",
        pruner="none", warmup=0, seed=0, metric="val/loss", owner="me", fixed=[],
        space={"seed": '{"name": "IntDistribution", "attributes": '
               '{"log": false, "step": 1, "low": 0, "high": 9}}'},
    )  # fmt: skip
    shared = opened(plan, tmp_path)
    for _ in range(3):
        (trial,) = shared.claim()
        shared.study.tell(trial, shared.values(trial)["seed"])
    path = tmp_path / "study.db"
    whole, outcomes = path.read_bytes(), Counter[bool]()
    for how, content in bytes_of(whole, random.Random(0), TRIES):
        path.write_bytes(content)
        try:
            found = opened(plan, tmp_path)
            assert found.claim() or len(found.mine()) == 3, how
            outcomes[True] += 1
        except UserError as error:
            assert len(str(error).splitlines()) == 2 and "study.db" in str(error), how
            outcomes[False] += 1
    assert outcomes[False] > TRIES
