"""The entries `name: text` of the project's docstrings, and where they begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMES = r"([a-z_]\w*(?:, [a-z_]\w*)*)"
ENTRY = re.compile(rf"^{_NAMES}: ")


def entries(text: str, names: Iterable[str]) -> dict[str, str]:
    """The text of a docstring for each of these names; names without an entry are left out.

    An entry starts a line, or follows the full stop of another, and ends with the next or with
    its paragraph; `a, b: text` is one of both.
    """
    known = set(names)
    texts: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        starts = [*re.finditer(rf"(?:^|(?<=[.;]) )\s*{_NAMES}: ", paragraph, re.MULTILINE)]
        for index, match in enumerate(starts, start=1):
            end = starts[index].start() if index < len(starts) else len(paragraph)
            entry = " ".join(paragraph[match.end() : end].split()).partition(" Raises ")[0]
            texts |= {name: entry.rstrip(".;") for name in match[1].split(", ") if name in known}
    return texts
