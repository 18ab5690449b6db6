"""The notebooks as they are stored; `.ci/notebooks.py` executes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from aecore.config.folders import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
INSTALL = """import sys

if "google.colab" in sys.modules:
    %pip install -q git+https://github.com/{repository}"""
BADGE = "colab.research.google.com/github/{repository}/blob/main/notebooks/{name})"
# of a machine's folders, of a notebook's kernel, of clocks
PRIVATE = re.compile(r"/(?:tmp|home|root|work|opt|usr|var|Users)/|ipykernel_|\b20\d\d-\d\d-\d\d")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    found = json.loads(path.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def test_there_are_notebooks_of_one_repository() -> None:
    texts = [path.read_text() for path in NOTEBOOKS]
    assert len(texts) >= 4
    repositories = re.findall(r"github\.com/(\w+/\w+)|/github/(\w+/\w+)", "\n".join(texts))
    assert len({a or b for a, b in repositories}) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_badge_and_its_installation(path: Path) -> None:
    first = json.loads(path.read_text())["cells"][0]
    assert first["cell_type"] == "markdown"
    code = "".join(cells(path, "code")[0]["source"])
    repository = code.rpartition("github.com/")[2]
    assert code == INSTALL.format(repository=repository)
    assert BADGE.format(repository=repository, name=path.name) in "".join(first["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_executed_from_first_to_last(path: Path) -> None:
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert not any(output["output_type"] == "error" for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_its_machine(path: Path) -> None:
    assert path.stat().st_size < 300_000
    notebook = json.loads(path.read_text())
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            texts = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            found = PRIVATE.search(json.dumps([texts, output.get("text", "")]))
            assert found is None, found
