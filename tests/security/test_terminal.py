"""No name, key or content of a file moves the cursor, rings or turns text around."""

from __future__ import annotations

import ast
import csv
import json
import logging
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

import aecore
from aecore.cli import main
from aecore.compare.compare import compare
from aecore.config.terminal import log_visibly, say, visible
from aecore.tasks.files import write_rows
from helpers.foreign_runs import trained
from helpers.run_folders import make

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp\u2066"
SOURCES = Path(aecore.__file__).parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def clean(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed; asserts that it holds no control but line feeds."""
    out, err = capsys.readouterr()
    wrong = [c for c in out + err if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]
    assert not wrong
    return out + err


def test_what_is_printed_can_be_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    assert r"\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp\u2066" in clean(capsys)
    plain = "é ± 3 → naïve 数 \U0001f600\nnext"
    assert visible(plain) == plain


def test_nothing_is_printed_but_by_one_function() -> None:
    def prints(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("print", "sys.stdout.write", "sys.stderr.write"):
                    yield f"{path.relative_to(SOURCES)}: {name}"

    alone = SOURCES / "tasks" / "exporting" / "predict.py"  # runs without this package
    files = sorted({*SOURCES.rglob("*.py")} - {alone})
    found = [line for path in files for line in prints(path)]
    assert found == ["config/terminal.py: print"]


@pytest.mark.parametrize(
    "argv",
    [
        [f"latent.{EVIL}=3"],
        [f"model={EVIL}"],
        [f"--{EVIL}"],
        [f"resume={EVIL}"],
        [f"--config-dir={EVIL}"],
        ["task=compare", f"runs={EVIL}"],
        [f"seed={EVIL}"],
    ],
    ids=["key", "option", "flag", "resume", "folder", "runs", "value"],
)
def test_names_on_the_command_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert clean(capsys).startswith("error: ")


def test_folders_metrics_and_choices_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"val/mse": 1.0, f"test/{EVIL}": 2.0}
    for n, dim in enumerate((2, 3)):
        make(
            Path(f"outputs/{EVIL}{n}"), words={"model": EVIL, EVIL: EVIL}, metrics=metrics,
            config={"latent.dim": dim, f"latent.{EVIL}{n}": EVIL}, asked=[f"latent.dim={dim}"],
        )  # fmt: skip
    make(Path(f"outputs/{EVIL}2"), error=f"{EVIL}\n", asked=[f"latent.dim={EVIL}"])
    make(Path("outputs/damaged"))
    Path("outputs/damaged/run.json").write_text(json.dumps({"format": EVIL, "version": EVIL}))
    assert main(["task=list"]) == 0
    assert r"\x1b[2J" in clean(capsys)
    assert main(["task=compare", "runs=outputs/*"]) == 0
    assert r"\x1b[2J" in clean(capsys)


def test_names_and_keys_of_compared_runs() -> None:
    runs = [
        make(Path(f"a\x1b[1m{n}"), metrics={"val/mse": n, "test/mse": n}, config={"latent.dim": n},
             asked=[f"latent.dim={n}"])
        for n in (1, 2)
    ]  # fmt: skip
    text = compare(runs, Path("out"), title=EVIL).terminal_text
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]


def test_a_folder_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path / "run")
    place = tmp_path / EVIL
    shutil.copytree(run, place)
    shutil.copytree(run / "checkpoints", tmp_path / "images" / EVIL)
    assert main([f"run={place}", "task=reconstruct", f"out={tmp_path / 'x'}"]) == 2
    assert main([f"run={place}", "task=sample", "sample.n=2", f"out=out{EVIL}"]) == 0
    assert r"\x1b[2J" in clean(capsys)
    (place / "checkpoints" / "last.ckpt").write_bytes(b"")
    assert main([f"run={place}", "task=sample"]) == 2
    assert r"\x1b[2J" in clean(capsys)


def test_what_is_logged(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    log_visibly()
    logging.getLogger("aecore").warning("%s left out: %s", EVIL, EVIL)
    (text,) = caplog.messages
    assert "\x1b" not in text and r"\x1b[2J" in text
    clean(capsys)


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_spreadsheets_get_no_formula_but_names_of_files_stay(
    start: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{start}cmd|'/c calc'!A0"
    runs = [
        make(Path(f"runs/{name}{n}"), words={"model": name}, metrics={"test/mse": 1.0},
             asked=[f"model={n}"], config={"latent.dim": n})
        for n in (1, 2)
    ]  # fmt: skip
    runs.append(make(Path(f"runs/{name}3"), error=name))
    compare(runs, Path("out"), title="x")
    for file in Path("out").glob("*.csv"):
        with file.open(newline="") as lines:
            cells = [cell for row in csv.reader(lines) for cell in row]
        texts = [cell for cell in cells if name in cell]
        assert texts and all(cell.startswith("'") for cell in texts)
    write_rows(tmp_path / "errors.csv", {"file": [name], "mse": ["1"]})
    assert (tmp_path / "errors.csv").read_text().splitlines()[1] == f"{name},1"
