"""Any set of runs set against one another: a table, files for programs, a page to read.

Everything is read from the run folders and nothing in them is executed; the same runs give the
same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aecore.compare.files import to_csv, to_json
from aecore.compare.metrics import direction
from aecore.compare.notes import notes_on
from aecore.compare.page import to_html
from aecore.compare.runs import Run, gather
from aecore.compare.select import select
from aecore.compare.table import Group, Stat, Table, summarise
from aecore.compare.text import to_text
from aecore.compare.vary import varied
from aecore.results import write_atomically

__all__ = [
    "CSV",
    "HTML",
    "JSON",
    "Group",
    "Run",
    "Stat",
    "Summary",
    "Table",
    "compare",
    "direction",
    "gather",
    "notes_on",
    "select",
    "summarise",
    "varied",
]

CSV, JSON, HTML = "summary.csv", "summary.json", "report.html"


@dataclass(frozen=True)
class Summary:
    """A comparison that was written: its numbers, the same as text, and where the page lies."""

    table: Table
    text: str
    report: Path


def compare(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str,
    grid: Sequence[Mapping[str, str]] | None = None,
    extra: Mapping[str, Path] | None = None,
) -> Summary:
    """Compare runs and write summary.csv, summary.json and report.html into `out`.

    Runs that failed, or are still running, are told and otherwise left out. Each file is replaced
    whole, so this may run beside the runs and beside itself.

    grid: what each job of a sweep was started with, key -> text, one for each folder.
    extra: further pictures for the page, caption -> PNG file.
    Raises OSError where `out` cannot be written.
    """
    table = summarise(gather(folders, grid))
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / CSV, _encoded(to_csv(table)))
    write_atomically(out / JSON, _encoded(to_json(table, title, out)))
    write_atomically(out / HTML, _encoded(to_html(table, title, out, extra or {})))
    return Summary(table, to_text(table, title, bold=sys.stdout.isatty()), out / HTML)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")  # file names may be no valid text
