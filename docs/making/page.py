"""A Markdown page with generated regions between HTML comments, which no reader sees.

A region is `<!-- generated: NAME ARGUMENT -->`, its text, and `<!-- /generated -->`, each comment
on a line of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aecore.config.folders import ROOT

_REGION = re.compile(
    r"^<!-- generated: (\S+)((?: \S+)*?) -->\n(.*?)^<!-- /generated -->$", re.MULTILINE | re.DOTALL
)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page of the documentation, or the README. text: as it is written now."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Page:
        """The page of a file."""
        return cls(path, path.read_text(encoding="utf-8"))

    @property
    def regions(self) -> list[tuple[str, str]]:
        """Name and argument of each region, in order."""
        return [(match[1], match[2].strip()) for match in _REGION.finditer(self.text)]

    @cached_property
    def _by_hand(self) -> str:
        """The text with blanks for regions and code, of the same length."""

        def blank(match: re.Match[str]) -> str:
            return " " * len(match[0])

        return _FENCED.sub(blank, _REGION.sub(blank, self.text))

    @cached_property
    def headings(self) -> list[tuple[int, int, str]]:
        """Position, level and text of each heading that was written by hand."""
        found = _HEADING.finditer(self._by_hand)
        return [(match.start(), len(match[1]), match[2].strip()) for match in found]

    def part(self, group: str) -> tuple[int, int]:
        """Where the part of a config group begins and ends: from its table to the next one's."""
        tables = [m for m in _REGION.finditer(self.text) if m[1] == "options"]
        starts = [m.start() for m in tables] + [len(self.text)]
        at = [m[2].strip() for m in tables].index(group)
        return starts[at], starts[at + 1]

    def level(self, position: int) -> int:
        """The level of the heading above a position."""
        return [level for start, level, _ in self.headings if start < position][-1]

    def rendered(self, make: Callable[[str, str, Page], str]) -> str:
        """The text with new regions. `make(name, argument, page)` gives the text of one.

        In it `(ROOT/` begins a link to a file of the repository, relative to its top folder.
        """

        def link(match: re.Match[str]) -> str:
            return f"({os.path.relpath(ROOT / match[1], self.path.parent)}"

        def replacement(match: re.Match[str]) -> str:
            text = make(match[1], match[2].strip(), self).strip()
            text = re.sub(r"\(ROOT/([^)#]+)", link, text)
            start = match[0].partition("\n")[0]
            return f"{start}\n\n{text}\n\n<!-- /generated -->" if text else _empty(start)

        return _REGION.sub(replacement, self.text)


def _empty(start: str) -> str:
    return f"{start}\n<!-- /generated -->"


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
