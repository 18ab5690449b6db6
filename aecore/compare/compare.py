"""Any set of runs set against one another: a table, files for programs, a page to read.

Everything is read from the run folders and nothing in them is executed; the same runs give the
same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aecore.compare.report.files import to_csv, to_json
from aecore.compare.report.page import to_html
from aecore.compare.report.text import to_text
from aecore.compare.runs import gather
from aecore.compare.table import Table, summarise
from aecore.config.terminal import visible
from aecore.runs.files import make_folder, write_atomically

CSV, JSON, HTML = "summary.csv", "summary.json", "report.html"
_STRIP = "strip"  # the page shows those of all runs in any case


@dataclass(frozen=True)
class Summary:
    """A written comparison: its numbers, their text, and the path of the page.

    text: visible as it is, perhaps with bold.
    figures: the PNG files of joint figures of all runs, by name.
    notices: notes about these, a line each.
    """

    table: Table
    text: str
    report: Path
    figures: Mapping[str, Path]
    notices: Sequence[str]

    @property
    def terminal_text(self) -> str:
        """The output on the terminal: the table, then the written files."""
        lines = ["", f"report  {self.report}"]
        if self.figures:
            folder = next(iter(self.figures.values())).parent
            lines.append(f"figures  {folder}: {', '.join(self.figures)}")
        lines += [f"note: {notice}" for notice in self.notices]
        return "\n".join([self.text, *map(visible, lines)])


def compare(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str,
    grid: Sequence[Mapping[str, str]] | None = None,
    extra: Mapping[str, Path] | None = None,
    figures: bool = False,
) -> Summary:
    """Compare runs and write summary.csv, summary.json and report.html into `out`.

    Runs that failed, or are still running, are reported and otherwise left out. Each file is
    replaced whole, so this may run at the same time as the runs or another comparison.

    grid: what each job of a sweep was started with, key -> text, one for each folder.
    extra: further images for the page, caption -> PNG file.
    figures: whether to draw figures of all runs too, into `out/figures`; it takes seconds.
    Raises OSError where `out` cannot be written.
    """
    table = summarise(gather(folders, grid))
    make_folder(out)
    write_atomically(out / CSV, _encoded(to_csv(table)))
    write_atomically(out / JSON, _encoded(to_json(table, title, out)))
    drawn, notices = _figures(table, out) if figures else ({}, [])
    captions = {
        name.replace("_", " ").capitalize(): file for name, file in drawn.items() if name != _STRIP
    }
    write_atomically(out / HTML, _encoded(to_html(table, title, out, extra or {}, captions)))
    text = to_text(table, title, bold=sys.stdout.isatty())
    return Summary(table, text, out / HTML, drawn, notices)


def _figures(table: Table, out: Path) -> tuple[dict[str, Path], list[str]]:
    from aecore.compare.report.together import (
        draw_together,
    )  # models and data, which a table needs not

    return draw_together(table, out)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")  # file names may be no valid text
