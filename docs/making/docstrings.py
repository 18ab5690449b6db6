"""Docstrings as Markdown: entries `name: text` as lists, formulas escaped."""

from __future__ import annotations

import re
from typing import Any

try:
    from griffe import Extension
except ModuleNotFoundError:  # of the extra docs: only the site needs it
    Extension = object  # type: ignore[assignment, misc]

_SIGNS = re.compile(r"([*_<\\\[\]$])")
_ENTRY = re.compile(r"^([a-z_]\w*(?:, [a-z_]\w*)*): ")  # as in entries.py, which is not on the path


def markdown(text: str) -> str:
    """Convert a docstring to Markdown."""
    lines: list[str] = []
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry and (not lines or not lines[-1] or lines[-1].endswith((".", ",", ";"))):
            if lines and lines[-1] and not lines[-1].startswith(("- ", "  ")):
                lines.append("")
            lines.append(f"- `{entry[1]}`: {escaped(line[entry.end() :])}")
        elif line and lines and lines[-1].startswith(("- ", "  ")) and not line.startswith("Raise"):
            lines.append(f"  {escaped(line.strip())}")
        elif lines and lines[-1].startswith(("- ", "  ")):
            lines += ["", escaped(line)]
        else:
            lines.append(escaped(line))
    return "\n".join(lines)


def escaped(line: str) -> str:
    """Escape the special characters of Markdown, except in `code`."""
    parts = re.split(r"(`[^`]*`)", line)
    parts[::2] = [_SIGNS.sub(r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


class Docstrings(Extension):
    """Rewrites every docstring after parsing."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
