"""Files of another format are refused in two lines that name a version; nothing is changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

import aecore
from aecore.cli import main
from aecore.errors import UserError
from aecore.runs import sweep
from aecore.runs.folder import read_config
from aecore.runs.format import difference, is_current, stamp
from helpers.foreign_runs import LAST, recorded, saved, trained

EARLIER = "made by aecore 0.2.0 or earlier (format 0); this version reads format 1"
LATER = "made by aecore 9.1.0 (format 2); this version reads format 1"
TINY = ["model=vae", "latent.dim=2", "network.hidden=[4]", "trainer.max_epochs=1", "logger=none"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("own") / "run", "sampler=gaussian")


def without_format(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    old = {k: v for k, v in record.items() if k not in ("format", "version")}
    (run / "run.json").write_text(json.dumps({**old, "versions": {"aecore": "0.2.0"}}))


FORMATS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "earlier": (without_format, EARLIER, "0.2.0"),
    "later": (recorded(format=2, version="9.1.0"), LATER, "9.1.0"),
}


@pytest.fixture(params=FORMATS)
def foreign(
    request: pytest.FixtureRequest, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    """A run of another format, and how it is refused."""
    monkeypatch.chdir(tmp_path)
    change, reason, version = FORMATS[request.param]
    place = Path("outputs", "x")
    shutil.copytree(run, place)
    change(place)
    return place, f"{place}: {reason}\n  open it with aecore {version}, or train again"


def state(folder: Path) -> dict[str, str]:
    return {
        str(path): sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def test_what_is_written_is_current(run: Path) -> None:
    assert is_current(json.loads((run / "run.json").read_text()))
    for name in ("last.ckpt", "sampler.ckpt"):
        content = torch.load(run / "checkpoints" / name, weights_only=True)
        assert is_current(content.get("aecore", content))
    assert stamp() == {"format": 1, "version": aecore.__version__}


@pytest.mark.parametrize("found", [True, 1.0, "1", None, [1], 0, 2])
def test_other_formats(found: Any) -> None:
    assert not is_current({"format": found, "version": "9.1.0"})
    assert "this version reads format 1" in difference({"format": found})


def test_in_python(foreign: tuple[Path, str]) -> None:
    place, refusal = foreign
    for use in (aecore.load, read_config):
        with pytest.raises(UserError) as error:
            use(place)
        assert str(error.value) == refusal


@pytest.mark.parametrize(
    "argv",
    [
        ["run=outputs/x", "task=encode"],
        ["run=outputs/x/checkpoints/last.ckpt", "task=encode"],
        ["run=last", "task=encode"],
        ["resume=outputs/x", "trainer.max_epochs=2"],
        ["task=compare", "runs=outputs/x"],
        ["task=compare", "runs=outputs/*"],
        [*TINY, "init_from=outputs/x"],
    ],
    ids=" ".join,
)
def test_on_the_command_line(
    foreign: tuple[Path, str], argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place, refusal = foreign
    before = state(Path("outputs"))
    assert main(argv) == 2
    message = capsys.readouterr().err.strip().removeprefix("error: ")
    assert message.replace(str(place.absolute()), str(place)) == refusal
    assert state(Path("outputs")) == before, "no file is changed, none is made"


def test_among_others_it_is_a_note(
    foreign: tuple[Path, str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, refusal = foreign
    reason = refusal.splitlines()[0]
    shutil.copytree(run, place.with_name("y"))
    assert main(["task=list"]) == 0
    assert f"note: {reason}" in capsys.readouterr().out
    assert main(["task=compare", "runs=outputs/*", "out=both"]) == 0
    out = capsys.readouterr().out
    assert reason.partition(": ")[2] in out


def test_a_checkpoint_alone(run: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(run, tmp_path / "x") / LAST
    for change, reason in (
        (lambda c: c["aecore"].update(format=2, version="9.1.0"), LATER),
        (lambda c: c.pop("aecore"), EARLIER),
    ):
        saved(change)(tmp_path / "x")
        with pytest.raises(UserError) as error:
            aecore.load(shutil.copy(alone, tmp_path / "alone.ckpt"))
        assert str(error.value).startswith(f"{tmp_path / 'alone.ckpt'}: {reason}\n")


def test_an_export(run: Path, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="needs the extra export")
    out = tmp_path / "out"
    data = ["dataset=digits", "resize=true"]
    argv = [f"run={run}", "task=export", "export.formats=safetensors", f"out={out}", *data]
    assert main(argv) == 0
    file = out / "model.safetensors"
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    record = json.loads(metadata["aecore"])
    assert is_current(record) and is_current(json.loads((out / "config.json").read_text()))
    del record["format"]
    metadata["aecore"] = json.dumps(record)
    safetensors.save_file(safetensors.load_file(file), file, metadata=metadata)
    with pytest.raises(UserError) as error:
        aecore.load(out)
    assert str(error.value).startswith(f"{file}: {EARLIER}\n")


def test_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    sweep.Sweep(folder, [], [], [["seed=0"]]).write()
    path = folder / "sweep.json"
    record = json.loads(path.read_text())
    assert is_current(record) and sweep.read_sweep(folder) is not None
    path.write_text(json.dumps({k: record[k] for k in ("flags", "overrides", "jobs")}))
    before = state(folder)
    assert main([f"resume={folder}"]) == 2
    message = capsys.readouterr().err.strip().removeprefix("error: ")
    assert message == f"{folder}: {EARLIER}\n  open it with aecore 0.2.0, or start the sweep again"
    assert state(folder) == before
