"""Figures of several runs together, at the end of sweeps and of comparisons."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from aecore.cli import main
from aecore.compare.compare import compare
from helpers.run_folders import make
from helpers.sweeps import TINY, holds, sweep_of_three

JOINT = ("curves", "reconstructions", "kernels", "robustness")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over three code sizes; not to be changed."""
    return sweep_of_three(tmp_path_factory.mktemp("swept") / "sweep")


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Path:
    """The sweep, to be changed; its runs' latent.png are of random dots."""
    shutil.copytree(swept, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "figures")
    for n in range(3):
        dots(tmp_path / "copy" / str(n), "latent", n)
    return tmp_path / "copy"


def dots(run: Path, name: str, seed: int) -> None:
    """Put a picture of random dots where a figure of a run was."""
    pixels = np.random.default_rng(seed).integers(0, 256, (60 + seed, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(run / "figures" / f"{name}.png")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def shows(sweep: Path, name: str, runs: tuple[int, ...] = (0, 1, 2)) -> bool:
    """Whether a figure of the sweep shows the pictures that those runs left."""
    page = pixels(sweep / "figures" / f"{name}.png")
    return all(holds(page, pixels(sweep / str(n) / "figures" / f"{name}.png")) for n in runs)


def written(sweep: Path) -> set[str]:
    return {path.name for path in (sweep / "figures").iterdir()}


# --- whole sweeps ---


def test_a_sweep_ends_with_figures_of_its_runs(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["task=compare", f"runs={copied}"]) == 0
        out = capsys.readouterr().out
        assert f"figures  {copied}/figures: {', '.join([*JOINT, 'latent'])}\n" in out
        assert "note: figures" not in out
        assert written(copied) == {f"{name}.png" for name in (*JOINT, "latent")}
        page = (copied / "report.html").read_text()
        files = {name: (copied / "figures" / f"{name}.png").read_bytes() for name in JOINT}
        for name, data in files.items():
            assert base64.b64encode(data).decode() in page
            assert f'href="figures/{name}.png"' in page
        assert shows(copied, "latent")
        shutil.rmtree(copied / "figures")
    again = compare([copied / str(n) for n in range(3)], copied, title="t", figures=True)
    assert {name: again.figures[name].read_bytes() for name in JOINT} == files, "the same bytes"


def test_the_sweep_itself_draws_them(swept: Path) -> None:
    assert written(swept) == {f"{name}.png" for name in (*JOINT, "latent")}


def test_other_data_and_other_settings_are_set_side_by_side(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((copied / "1/config.yaml").read_text())
    config["dataset"]["test_size"] = 50
    config["figures"]["kernels"]["count"] = 4
    (copied / "1/config.yaml").write_text(yaml.safe_dump(config))
    for n in range(3):
        for name in JOINT:
            dots(copied / str(n), name, 10 * n)
    assert main(["task=compare", f"runs={copied}"]) == 0
    assert "note: figures" not in capsys.readouterr().out, "nothing is wrong with them"
    for name in ("reconstructions", "robustness", "kernels"):
        assert shows(copied, name)
    assert not shows(copied, "curves"), "which are drawn jointly"


@pytest.mark.parametrize(
    ("file", "damage", "told"),
    [
        ("checkpoints/last.ckpt", b"torn", "last.ckpt: truncated, damaged or foreign checkpoint"),
        ("config.yaml", b"os.mkdir", "latent._target_=os.mkdir: no component of aecore"),
    ],
)
def test_a_run_that_cannot_be_opened_costs_a_line(
    copied: Path, capsys: pytest.CaptureFixture[str], file: str, damage: bytes, told: str
) -> None:
    path = copied / "1" / file
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"aecore.model.latents.deterministic.Deterministic", damage)
                     if file == "config.yaml" else damage)  # fmt: skip
    for n in range(3):
        dots(copied / str(n), "kernels", 10 * n)
    assert main(["task=compare", f"runs={copied}"]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if "note: figures" in line]
    assert len(notes) == 1
    assert "latent.dim=3 cannot be opened" in notes[0]
    assert told in notes[0]
    assert written(copied) == {f"{name}.png" for name in (*JOINT, "latent")}
    assert shows(copied, "kernels")


def test_failed_jobs_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["-m", "model=ae", "optimizer=sgd", "optimizer.lr=1e-3,1e6,1e-2", *TINY]
    assert main([*argv, "figures=[curves]", f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 1
    out = capsys.readouterr().out
    assert f"figures  {tmp_path}/sweep/figures: curves\n" in out
    argv = ["-m", "model=ae", "optimizer=sgd", "optimizer.lr=1e-3,1e6", *TINY]
    assert main([*argv, "figures=[curves]", f"hydra.sweep.dir={tmp_path / 'lone'}"]) == 1
    assert not (tmp_path / "lone" / "figures").exists()


# --- which figures ---


def shown(root: Path, count: int, figures: Mapping[str, object]) -> list[Path]:
    """Finished runs with those figures and a picture of each; they cannot be opened."""
    folders = []
    for n in range(count):
        config = {f"figures.{name}": node for name, node in figures.items()}
        made = make(root / str(n), config={**config, "latent.dim": n}, metrics={"test/mse": 1.0})
        (made / "figures").mkdir()
        for name in figures:
            if "/" not in name:
                dots(made, name, n)
        folders.append(made)
    return folders


CODES = {"_target_": "aecore.evaluation.figures.latent.LatentScatter", "points": 10}


def test_thirteen_runs_are_too_many_and_twelve_are_not(tmp_path: Path) -> None:
    folders = shown(tmp_path, 13, {"latent": CODES})
    summary = compare(folders, tmp_path / "out", title="t", figures=True)
    assert not summary.figures
    assert summary.terminal_text.endswith(
        "note: figures compare at most 12 runs; choose with task=compare runs='...'"
    )
    assert not (tmp_path / "out" / "figures").exists()
    summary = compare(folders[1:], tmp_path / "out", title="t", figures=True)
    assert list(summary.figures) == ["latent"]
    assert not summary.notices, "no run was opened"


def test_only_what_all_have_is_drawn_and_nothing_outside(tmp_path: Path) -> None:
    folders = shown(tmp_path / "a", 2, {"latent": CODES, "../../evil": CODES, "one": CODES})
    (tmp_path / "a" / "b").mkdir()
    folders += shown(tmp_path / "a" / "b", 1, {"latent": CODES, "../../evil": CODES})
    summary = compare(folders, tmp_path / "a" / "out", title="t", figures=True)
    assert list(summary.figures) == ["latent"]
    assert not list(tmp_path.rglob("evil*"))
    assert compare(folders[:1], tmp_path / "lone", title="t", figures=True).figures == {}
    none = shown(tmp_path / "none", 2, {})
    summary = compare(none, tmp_path / "out", title="t", figures=True)
    assert "figures" not in summary.terminal_text
    assert not compare(folders, tmp_path / "plain", title="t").figures, "only where asked for"


def test_a_figure_that_is_none_is_told(tmp_path: Path) -> None:
    folders = shown(tmp_path, 2, {"latent": {"_target_": "os.system", "command": "false"}})
    summary = compare(folders, tmp_path / "out", title="t", figures=True)
    assert list(summary.notices) == [
        "figures as the runs left them, side by side: config.yaml: "
        "figures.latent._target_=os.system: no component of aecore, so it was not looked up"
    ]
    assert list(summary.figures) == ["latent"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["runs"]
