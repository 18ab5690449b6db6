"""The comparison for the terminal, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aecore.compare.notes import notes_on
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Group, Stat, Table
from aecore.compare.values import is_number, label, shown
from aecore.config.terminal import in_one_line, visible

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_MOST = 8
_TERMS = ("loss", "reconstruction", "kl", "input_mse")  # models of other objectives have others


def main_metrics(table: Table, most: int = _MOST) -> list[str]:
    """The metrics worth a look first: those that rank, and common ones of the test split."""
    ranking = [name for name in ("val/loss", "val/mse") if name in table.metrics]
    test = [name for name in table.metrics if name.startswith("test")]
    plain = [name for name in test if name.rpartition("/")[2] not in _TERMS]
    return [*ranking, *(plain or test or list(table.metrics))][:most]


def number(value: float, spread: float | None = None) -> str:
    """Four digits, or as many as the spread needs to be seen: `0.01234`, `18.17 ± 0.03`."""
    size = abs(value)
    if size and not 1e-4 <= size < 1e6:
        return f"{value:.3e}" if spread is None else f"{value:.3e} ± {spread:.0e}"
    places = max(0, 3 - _exponent(value))
    if spread is None:
        return f"{value:.{places}f}"
    if spread:
        places = max(places, min(-_exponent(spread), places + 2))
    return f"{value:.{places}f} ± {spread:.{places}f}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def stat(found: Stat, finished: int) -> str:
    """A mean with its deviation; how many values it is of where some are missing."""
    if found.mean is None:
        return ""
    few = f" (of {found.n})" if found.n < finished else ""
    return number(found.mean, found.std) + few


def to_text(table: Table, title: str, *, bold: bool) -> str:
    """A table of the groups, what failed, and what to know; the best in bold, or with a `*`.

    No foreign text in it can move the cursor; bold is the only escape.
    """
    metrics = main_metrics(table)
    shown_groups = [group for group in table.groups if group.finished]
    head = [visible(title), ""]
    if shown_groups:
        head += [*_grid(table, shown_groups, metrics, bold), ""]
    lines: list[str] = []
    starred = any(group.stats[name].best for group in shown_groups for name in metrics)
    if starred and not bold:
        lines.append("* best by the validation images")
    if table.averaged:
        lines.append("± sample standard deviation over seeds")
    lines += [f"note: {note}" for note in notes_on(table, metrics)]
    for state in ("failed", "unfinished"):
        runs = [run for run in table.runs if run.state == state]
        if runs:
            lines += ["", f"{state}: {len(runs)} of {len(table.runs)}"]
            lines += [f"  {run_label(run, table)}: {run.error}" for run in runs]
    return "\n".join([*head, *map(visible, lines)]).rstrip("\n")


def run_label(run: ComparedRun, table: Table) -> str:
    """`3 (vae · latent.dim 8 · seed 1)`."""
    parts = [label(run.values, table.keys)]
    if len({shown(r.seed) for r in table.runs}) > 1 and run.seed is not None:
        parts.append(f"seed {shown(run.seed)}")
    details = " · ".join(part for part in parts if part)
    return f"{run.name} ({details})" if details else run.name


def _grid(table: Table, groups: Sequence[Group], metrics: Sequence[str], bold: bool) -> list[str]:
    keys: list[str] = list(table.keys)
    first = [] if keys else ["run"]  # then there is one group
    header = [*first, *keys, *(["seeds"] if table.averaged else []), *metrics]
    rows: list[list[str]] = []
    best: set[tuple[int, int]] = set()
    for group in groups:
        row = [] if keys else [group.runs[0].name if len(group.runs) == 1 else "all"]
        row += [shown(group.values[key]) if key in group.values else "" for key in keys]
        row += [str(group.finished)] if table.averaged else []
        for name in metrics:
            if group.stats[name].best:
                best.add((len(rows), len(row)))
            mark = "*" if group.stats[name].best and not bold else ""
            row.append(stat(group.stats[name], group.finished) + mark)
        rows.append(row)
    right = [len(first) + n for n, key in enumerate(keys)
             if all(is_number(group.values.get(key, 0)) for group in groups)]  # fmt: skip
    right += range(len(first) + len(keys), len(header))
    return _aligned(header, rows, set(right), best if bold else set())


def _aligned(
    header: list[str], rows: list[list[str]], right: set[int], best: set[tuple[int, int]]
) -> list[str]:
    header, *rows = ([in_one_line(cell) for cell in row] for row in (header, *rows))
    starred = [any(row[c].endswith("*") for row in rows) for c in range(len(header))]
    rows = [
        [cell if not starred[c] or cell.endswith("*") else f"{cell} " for c, cell in enumerate(row)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for n, row in enumerate([header, *rows], start=-1):
        cells = []
        for c, cell in enumerate(row):
            padded = cell.rjust(widths[c]) if c in right else cell.ljust(widths[c])
            cells.append(f"{_BOLD}{padded}{_PLAIN}" if (n, c) in best else padded)
        lines.append("  ".join(cells).rstrip())
    return lines
