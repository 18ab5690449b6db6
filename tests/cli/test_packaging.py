"""Outside a clone: what the wheel holds, and words of the user's own in a folder of theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from aecore.cli import main
from aecore.config.folders import ROOT, user_folders

TINY = ["model=ae", "trainer=debug", "figures=none", "logger=none", "network.hidden=[16]"]
MINE = """
from torch import Tensor

from aecore.model.penalties.base import Penalty
from aecore.model.passes import Pass


class Mine(Penalty):
    def __init__(self, *, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, p: Pass) -> Tensor:
        return p.code.z.flatten(1).abs().amax(1) ** self.power
"""
NODE = """# The largest number of the code
mine:
  _target_: {module}.Mine
  weight: 0.1
  schedule: constant
  warmup: 0
  power: 2.0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_word_and_study(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for place, group in (("aecore", "conf"), ("aecore/conf", "sweeps")):
        files = [file.relative_to(ROOT) for file in (ROOT / group).rglob("*.yaml")]
        assert len(files) > 20
        assert {f"{place}/{file.as_posix()}" for file in files} <= names
    assert {"aecore/__main__.py", "aecore/conf/hydra/sweeper/optuna.yaml"} <= names
    parts = ("page.html", "report.css", "report.js", "report.mplstyle")
    assert {f"aecore/compare/report/{part}" for part in parts} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"aecore"}


def test_an_editable_install_points_to_the_clone(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    archive = zipfile.ZipFile(built)
    assert not [name for name in archive.namelist() if name.endswith(".yaml")]
    assert Path(archive.read("_aecore.pth").decode()) == ROOT


def test_the_command_of_the_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """From an empty folder, and from the wheel's files alone."""
    wheel.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    (entries,) = (tmp_path / "site").glob("*.dist-info/entry_points.txt")
    section, line = entries.read_text().split()[0], entries.read_text().splitlines()[1]
    assert section == "[console_scripts]"
    name, _, value = line.partition(" = ")
    start = EntryPoint(name, value, "console_scripts")
    script = f"import sys, {start.module}; sys.exit({start.module}.{start.attr}())"

    def said(*argv: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *argv],
            cwd=tmp_path / "empty",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    assert name == "aecore"
    assert "\n  aecore model=vae dataset=mnist\n" in said("--help")
    composed = yaml.safe_load(said("sweeps=beta", "model=vae", "--cfg", "job"))
    assert composed["penalty"]["kl"]["_target_"] == "aecore.model.penalties.kl.KL"
    assert str(tmp_path / "site/aecore/conf") in said("--info", "searchpath")
    assert "write: aecore model=vae" in said("vae", status=2)
    assert not list((tmp_path / "empty").iterdir())
    said(*TINY, "paths.output_dir=made", "hydra.run.dir=made/a")
    assert "1 run" in said("task=compare", "runs=made/*", "out=compared")  # no group `runs`
    assert (tmp_path / "empty/compared/report.html").is_file()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder of one's own penalty, its module beside it; the working directory is elsewhere."""
    module = f"mine_{abs(hash(request.node.name))}"  # one process runs many tests
    folder = tmp_path / "my"
    for group in ("penalty", "model", "sweeps"):
        (folder / group).mkdir(parents=True)
    (folder / f"{module}.py").write_text(MINE)
    (folder / "penalty/mine.yaml").write_text(NODE.format(module=module))
    preset = "# @package _global_\n# Mine\ndefaults:\n  - ae\n  - override /penalty: mine\n"
    (folder / "model/own.yaml").write_text(preset)
    study = "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper: {params: {seed: '0,1'}}\n"
    (folder / "sweeps/seeds.yaml").write_text(study)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def test_a_penalty_of_ones_own(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--config-dir", str(own)]
    assert main([*argv, *TINY, "penalty=mine", "penalty.mine.power=1", "hydra.run.dir=run"]) == 0
    assert "test/mine" in capsys.readouterr().out
    assert main(["resume=run", "trainer.max_epochs=3"]) == 2
    assert "--config-dir" in capsys.readouterr().err
    assert main([*argv, "resume=run", "trainer.max_epochs=3"]) == 0
    assert not user_folders()
    capsys.readouterr()
    for flags in ([], argv):
        assert main([*flags, "penalty", "--help"]) == 0
        listed = re.findall("^  mine +(.*)$", capsys.readouterr().out, re.M)
        assert listed == ["The largest number of the code"] * bool(flags)


def test_a_study_of_ones_own_preset(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--config-dir", str(own), "sweeps=seeds", "model=own", *TINY[1:]]
    assert main([*argv, "hydra.sweep.dir=sweep"]) == 0
    assert Path("sweep/0/metrics.json").exists()
    Path("sweep/1/metrics.json").unlink()
    capsys.readouterr()
    assert main(["resume=sweep"]) == 2
    mend = capsys.readouterr().err.splitlines()[1]
    assert mend == f"  python run.py --config-dir {own} resume=sweep"
    assert main(mend.split()[2:]) == 0
    assert Path("sweep/1/metrics.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("rm my/*.py", "it would be .*/my/mine_"),
        ("echo 'def x(:' > my/$MODULE.py", r"SyntaxError.*line 1"),
        ("echo 'class Mine: pass' > my/$MODULE.py", "no Penalty of that name"),
        ("sed -i /power/d my/penalty/mine.yaml", r"missing a required .*argument: 'power'"),
        ("echo 'a: [' > my/penalty/mine.yaml", "mine.yaml, line 2: no YAML"),
        ("sed -i /mine:/d my/penalty/mine.yaml", "must be a valid dictionary"),
        ("cp my/penalty/mine.yaml my/penalty/kl.yaml", "there is a penalty=kl already"),
        ("mv my/penalty my/penalties", "no such penalty"),
        ("rm -r my/*/", "no options there"),
        ("mv my your", "no such folder"),
    ],
)
def test_what_may_be_wrong_with_it(
    change: str, said: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (module,) = own.glob("*.py")
    environment = {**os.environ, "MODULE": module.stem}
    subprocess.run(["sh", "-ec", change], cwd=own.parent, env=environment, check=True)
    assert main(["--config-dir", str(own), *TINY, "penalty=mine"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 3
    assert re.search(said, "\n".join(lines)), lines
    assert not list(Path().iterdir())
