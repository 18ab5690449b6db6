"""The groups of a comparison as a table for a paper: LaTeX or Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from aecore.compare.report.text import group_names, mean_text
from aecore.compare.table import Group, Table
from aecore.errors import ConfigError, nearest

_ARROWS = {"lower": "down", "higher": "up", "none": ""}
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def metrics_of(table: Table, chosen: Sequence[str] | None = None) -> list[str]:
    """The chosen metrics; without a choice those of validation and test images with a better side.

    Raises UserError for a metric that no run has.
    """
    for name in chosen or ():
        if name not in table.metrics:
            problem = f"no run has this metric{nearest(name, table.metrics)}"
            raise ConfigError("compare.metrics", name, problem, "summary.csv has them all")
    if chosen is not None:
        return [*chosen]
    return [
        name
        for name in table.metrics
        if name.startswith(("val", "test")) and table.direction(name) != "none"
    ]


def to_latex(table: Table, title: str, metrics: Sequence[str]) -> str:
    """A `tabular` of the package booktabs: means and deviations over seeds, the best in bold.

    Arrows show which side of a metric is better.
    """

    def cell(group: Group, metric: str) -> str:
        text = mean_text(group, metric).replace("-", "$-$").replace("±", r"$\pm$")
        return rf"\textbf{{{text}}}" if group.stats[metric].best else text

    def arrow(metric: str) -> str:
        way = _ARROWS[table.direction(metric)]
        return _escaped(metric) + (rf" $\{way}arrow$" if way else "")

    header, rows = _rows(table, metrics, _escaped, arrow, cell)
    columns = "l" * (len(table.keys) or 1) + "r" * (len(header) - (len(table.keys) or 1))
    lines = [
        f"% {_one_line(title)}: mean ± sample standard deviation over seeds",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(header) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def to_markdown(table: Table, title: str, metrics: Sequence[str]) -> str:
    """The same as a table in Markdown."""

    def cell(group: Group, metric: str) -> str:
        text = mean_text(group, metric)
        return f"**{text}**" if group.stats[metric].best else text

    def arrow(metric: str) -> str:
        return _plain(metric) + {"down": " ↓", "up": " ↑", "": ""}[_ARROWS[table.direction(metric)]]

    header, rows = _rows(table, metrics, _plain, arrow, cell)
    keys = len(table.keys) or 1
    rule = ["---"] * keys + ["---:"] * (len(header) - keys)
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
    return "\n".join(
        [f"{_plain(title)}: mean ± sample standard deviation over seeds", "", *lines, ""]
    )


def _rows(
    table: Table,
    metrics: Sequence[str],
    escape: Callable[[str], str],
    head: Callable[[str], str],
    cell: Callable[[Group, str], str],
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of finished groups: keys that vary, number of seeds, metrics."""
    keys = table.keys
    header = [*map(escape, keys or ["run"]), "seeds", *map(head, metrics)]
    rows = []
    for group in table.groups:
        if group.finished:
            names = map(escape, group_names(group, keys))
            rows.append([*names, str(group.finished), *(cell(group, m) for m in metrics)])
    return header, rows


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """A text for LaTeX."""
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def _plain(text: str) -> str:
    """A text for a cell in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", _one_line(text))
