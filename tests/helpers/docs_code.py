"""The code blocks of the documentation and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aecore.config.folders import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else stands behind the fence, and its text."""

    language: str
    info: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether its commands are run, not only composed: ```sh run."""
        return "run" in self.info.split()

    @property
    def title(self) -> str | None:
        """The file that it is, as `title="folder/name.py"` says; None for none."""
        found = _TITLE.search(self.info)
        return None if found is None else found[1]

    @property
    def commands(self) -> list[list[str]]:
        """What `run.py` or `aecore` is given in each of its commands."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [argv for line in lines for argv in _argvs(line)]


def _argvs(line: str) -> Iterator[list[str]]:
    words = shlex.split(line, comments=True)
    while "&&" in words:
        at = words.index("&&")
        yield from _argv(words[:at])
        words = words[at + 1 :]
    yield from _argv(words)


def _argv(words: list[str]) -> Iterator[list[str]]:
    for name in ("run.py", "aecore"):
        if name in words:
            yield words[words.index(name) + 1 :]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]
