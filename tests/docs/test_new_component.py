"""A new component is its class and its YAML file: nothing else of the repository names it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aecore.config.folders import ROOT, groups
from docs.making.options import SELECTIONS

NEW = Path(__file__).with_name("new_components")
COPIED = ("aecore", "benchmarks", "conf", "docs", "sweeps", "tests")
OPTIONS = {
    ("/".join(file.relative_to(NEW).parts[:-1]).removeprefix("conf/"), file.stem)
    for file in NEW.rglob("*.yaml")
}


# in one process: importing takes longer than either
SCRIPT = """
import sys, pytest
from docs import build
arguments, sys.argv = sys.argv[1:], ["docs.build"]
sys.exit(build.main() or pytest.main(arguments))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with a new option in every config group."""
    folder = tmp_path_factory.mktemp("repository")
    passed_over = shutil.ignore_patterns("__pycache__", "*.png", "new_components")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=passed_over)
    for name in ("README.md", "RESULTS.md", "CONTRIBUTING.md", "pyproject.toml", "run.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(NEW, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def printed(tree: Path) -> str:
    """What `docs.build` and the tests of all components print in the copy; they succeed."""
    chosen = " or ".join(["help", *(f"{name}]" for _, name in OPTIONS)])
    contracts = ("tests/cli/test_contracts.py", "-k", chosen)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "-rA", "-n", "0", "-p", "no:cacheprovider", *contracts],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "tests")])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_one_of_each_kind() -> None:
    assert sorted(group for group, _ in OPTIONS) == sorted(groups())


@pytest.mark.usefixtures("printed")
def test_it_is_documented(tree: Path) -> None:
    pages = {page.relative_to(tree): page.read_text() for page in (tree / "docs").rglob("*.md")}
    text = "\n".join(pages[page] for page in pages if pages[page] != (ROOT / page).read_text())
    lines = text.splitlines()
    for group, name in OPTIONS:
        typed = f"evaluate.metrics=[{name}]" if group == "evaluate/metrics" else f"{group}={name}"
        rows = [line for line in lines if line.startswith("| ") and f"`{typed}`" in line]
        assert rows, f"{typed} is in no table"
        has_class = any((NEW / "aecore").rglob(f"{name}.py"))
        headings = [line.lstrip("# ") for line in lines if line.startswith("#")]
        headed = name in headings or typed in headings
        assert headed == (has_class and group not in SELECTIONS), typed
    assert "| `noise.std=0.3` | standard deviation, times the pixel | number ≥ 0 |" in lines
    assert "noise of radar (Goodman 1976)." in text  # the docstring
    assert "`speckle`" in (tree / "README.md").read_text()


def test_the_tests_of_all_components_cover_it(printed: str) -> None:
    passed = [line for line in printed.splitlines() if line.startswith("PASSED")]
    for _, name in OPTIONS:
        assert any(line.endswith(f"{name}]") for line in passed), f"{name}: {printed}"
