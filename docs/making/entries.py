"""The entries `name: text` of the project's docstrings, as a list that Markdown shows as one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMES = r"([a-z_]\w*(?:, [a-z_]\w*)*)"
ENTRY = re.compile(rf"^{_NAMES}: ")


def entries(text: str, names: Iterable[str]) -> dict[str, str]:
    """What a docstring says of each of these names, those it does not name left out.

    An entry starts a line, or follows the full stop of another, and ends with the next or with
    its paragraph; `a, b: text` is one of both.
    """
    known = set(names)
    found: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        starts = [*re.finditer(rf"(?:^|(?<=[.;]) )\s*{_NAMES}: ", paragraph, re.MULTILINE)]
        for number, match in enumerate(starts, start=1):
            end = starts[number].start() if number < len(starts) else len(paragraph)
            said = " ".join(paragraph[match.end() : end].split()).partition(" Raises ")[0]
            found |= {name: said.rstrip(".;") for name in match[1].split(", ") if name in known}
    return found
