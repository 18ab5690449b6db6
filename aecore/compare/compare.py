"""Any set of runs set against one another: a table, files for programs, a page to read.

Everything is read from the run folders and nothing in them is executed; the same runs give the
same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aecore.compare.report.files import groups_csv, runs_csv, to_json
from aecore.compare.report.page import to_html
from aecore.compare.report.paper import metrics_of, to_latex, to_markdown
from aecore.compare.report.text import to_text
from aecore.compare.runs import gather
from aecore.compare.table import summarise
from aecore.config.terminal import visible
from aecore.runs.files import make_folder, write_atomically
from aecore.runs.sweep import Sweep

REPORT = "report.html"
PaperTable = Literal["csv", "latex", "markdown"]
_PAPER = {"latex": ("table.tex", to_latex), "markdown": ("table.md", to_markdown)}


@dataclass(frozen=True)
class Summary:
    """A written comparison: its text, visible as it is, and the path of the page.

    table: the file of means and deviations over seeds.
    figures: the PNG files of joint figures of all runs, by name.
    notices: notes about these, a line each.
    """

    text: str
    report: Path
    table: Path
    figures: Mapping[str, Path]
    notices: Sequence[str]

    @property
    def terminal_text(self) -> str:
        """The output on the terminal: the table, then the written files."""
        lines = ["", f"report  {self.report}", f"table   {self.table}"]
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
    paper: PaperTable = "csv",
    metrics: Sequence[str] | None = None,
) -> Summary:
    """Compare runs; write summary.csv, groups.csv, summary.json and report.html into `out`.

    Runs that failed, or are still running, are reported and otherwise left out. Each file is
    replaced whole, so this may run at the same time as the runs or another comparison.

    grid: what each job of a sweep was started with, key -> text, one for each folder.
    extra: further images for the page, caption -> PNG file.
    figures: whether to draw figures of all runs too, into `out/figures`; it takes seconds.
    paper: writes the groups as table.tex or table.md too, for a paper. metrics: the columns of
        that table; None for all of `metrics_of`.
    Raises OSError where `out` cannot be written, UserError for a metric that no run has.
    """
    table = summarise(gather(folders, grid))
    columns = metrics_of(table, metrics)
    make_folder(out)
    drawn: dict[str, Path] = {}
    notices: list[str] = []
    if figures:  # with models and data, which a table needs not
        from aecore.compare.report.together import draw_together

        drawn, notices = draw_together(table, out)
    files = {
        "summary.csv": runs_csv(table),
        "groups.csv": groups_csv(table),
        "summary.json": to_json(table, title, out),
        REPORT: to_html(table, title, out, extra or {}, drawn),
    }
    if paper != "csv":
        name, written = _PAPER[paper]
        files[name] = written(table, title, columns)
    for name, text in files.items():  # names of files may be no valid text
        write_atomically(out / name, text.encode("utf-8", errors="backslashreplace"))
    tables = out / (_PAPER[paper][0] if paper != "csv" else "groups.csv")
    return Summary(to_text(table, title), out / REPORT, tables, drawn, notices)


def compare_sweep(sweep: Sweep, out: Path | None = None, **options: Any) -> Summary:
    """Compare the jobs of a sweep, into its own folder by default; options: see `compare`."""
    place = sweep.folder if out is None else out
    return compare(sweep.folders, place, title=sweep.title, grid=sweep.grid, **options)
