"""Tables for a paper, and figures as vectors."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path

import pytest

from aecore.cli import main
from aecore.compare.compare import compare
from aecore.compare.report.text import to_text
from aecore.compare.runs import gather
from aecore.compare.table import summarise
from helpers.run_folders import make


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def runs() -> list[Path]:
    """Two groups of two seeds; the second is better; and a name with characters of LaTeX."""
    found = []
    for dim, errors in ((2, (0.2, 0.3)), (8, (0.1, 0.14))):
        for seed, error in enumerate(errors):
            values = {"val/mse": error, "test/mse": error, "test/kl": 3.0, "test/psnr": 1 / error}
            config = {"latent.dim": dim, "seed": seed}
            folder = Path(f"runs/{dim}_{seed}")
            make(folder, metrics=values, config=config, asked=[f"latent.dim={dim}"])
            found.append(folder)
    return found


def test_markdown() -> None:
    written = compare(runs(), Path("out"), title="a_b | c", paper="markdown")
    assert written.table == Path("out/table.md")
    title, _, header, rule, *rows = written.table.read_text().splitlines()
    assert title == r"a\_b \| c: mean ± sample standard deviation over seeds"
    assert header == r"| latent.dim | seeds | val/mse ↓ | test/mse ↓ | test/psnr ↑ |"
    assert rule == "| --- | ---: | ---: | ---: | ---: |"
    mean, std = statistics.fmean([0.1, 0.14]), statistics.stdev([0.1, 0.14])
    assert f"**{mean:.4f} ± {std:.4f}**" in rows[1] and "**" not in rows[0]
    assert rows[0].startswith("| 2 | 2 | 0.2500 ± 0.0707 |")


def test_latex_compiles_in_spirit() -> None:
    text = compare(runs(), Path("out"), title="50 % & more", paper="latex").table.read_text()
    assert text.startswith("% 50 % & more: mean")
    lines = text.splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrr}" and lines[-1] == r"\end{tabular}"
    cells = [line.removesuffix(r" \\").split(" & ") for line in lines if line.endswith(r"\\")]
    assert {len(row) for row in cells} == {5}
    assert cells[0][2] == r"val/mse $\downarrow$" and cells[0][4] == r"test/psnr $\uparrow$"
    assert cells[2][2] == r"\textbf{0.1200 $\pm$ 0.0283}"
    if (tool := shutil.which("pdflatex")) is not None:
        page = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
        Path("page.tex").write_text(page + text + r"\end{document}")
        subprocess.run([tool, "-interaction=batchmode", "page.tex"], check=True)


def test_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    runs()
    assert main(["task=compare", "runs=runs/*", "out=out", "compare.table=latex"]) == 0
    assert f"table   {Path('out/table.tex')}" in capsys.readouterr().out
    assert main(["task=compare", "runs=runs/*", "compare.table=word"]) == 2
    assert "compare.table=word" in capsys.readouterr().err


def test_latex_has_minus_signs() -> None:
    make(Path("runs/a"), metrics={"val/elbo": -27.25, "test/elbo": -27.25})
    text = compare([Path("runs/a")], Path("out"), title="t", paper="latex").table.read_text()
    assert "$-$27.25" in text


def test_the_columns_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    runs()
    argv = ["task=compare", "runs=runs/*", "out=out", "compare.table=markdown"]
    assert main([*argv, "compare.metrics=[test/psnr,test/kl]"]) == 0
    header = Path("out/table.md").read_text().splitlines()[2]
    assert header == "| latent.dim | seeds | test/psnr ↑ | test/kl |"
    capsys.readouterr()
    assert main([*argv, "compare.metrics=[test/pnsr]"]) == 2
    message = "compare.metrics=test/pnsr: no run has this metric (did you mean 'test/psnr'"
    assert message in capsys.readouterr().err


def test_a_narrow_terminal_has_fewer_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    table = summarise(gather(runs()))
    assert "test/psnr" in to_text(table, "t")
    monkeypatch.setenv("COLUMNS", "60")
    text = to_text(table, "t")
    assert "test/psnr" not in text and "too narrow for more metrics" in text
    assert max(map(len, text.splitlines())) < 80


def test_further_metrics_are_no_difference() -> None:
    for seed, metrics in enumerate(({}, {"evaluate.metrics.pca._target_": "x.Y"})):
        make(
            Path(f"runs/{seed}"), metrics={"test/mse": seed + 1.0},
            words={"model": "vae", "evaluate/metrics": "pca" if metrics else "none"},
            config={"seed": seed, **metrics},
        )  # fmt: skip
    written = compare([Path("runs/0"), Path("runs/1")], Path("out"), title="x", paper="markdown")
    assert "| all | 2 | 1.500 ± 0.707 |" in written.table.read_text()


@pytest.mark.parametrize("extension", ["pdf", "svg"])
def test_figures_as_vectors(extension: str) -> None:
    argv = ["trainer.max_epochs=1", "logger=none", "figures=[curves,strip]"]
    argv += [f"figures.format={extension}"]
    for name in ("a", "b"):
        assert main([*argv, f"hydra.run.dir={name}"]) == 0
    files = {file.name for file in Path("a/figures").iterdir()}
    assert files == {"curves.png", "strip.png", f"curves.{extension}", f"strip.{extension}"}
    one, same = (Path(name, "figures", f"strip.{extension}").read_bytes() for name in "ab")
    assert one == same
    compare([Path("a"), Path("b")], Path("out"), title="t", figures=True)
    assert {file.name for file in Path("out/figures").iterdir()} == files


def test_no_other_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures.format=jpg"]) == 2
    assert "figures.format=jpg" in capsys.readouterr().err
