"""The comparison for the terminal, and how numbers are written."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence

from aecore.compare.notes import notes_on
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Group, Table
from aecore.compare.values import label, shown
from aecore.config.terminal import in_one_line, visible
from aecore.runs.text_table import table as text_table

_MOST = 8
_LEAST = 2
_ANY = 10_000  # columns, where the output is no terminal
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


def to_text(table: Table, title: str) -> str:
    """A table of the groups, what failed, and what to know; the best with a `*`.

    No foreign text in it can move the cursor.
    """
    metrics = main_metrics(table)
    finished = [group for group in table.groups if group.finished]
    grid, lines = [], []
    if finished:
        grid = [_grid(table, finished, metrics), ""]
        width, all_of_them = shutil.get_terminal_size((_ANY, 24)).columns, len(metrics)
        while len(metrics) > _LEAST and max(map(len, grid[0].splitlines())) > width:
            metrics = metrics[:-1]
            grid = [_grid(table, finished, metrics), ""]
        if len(metrics) < all_of_them:
            lines.append("the terminal is too narrow for more metrics, which the report has")
    if any(group.stats[name].best for group in finished for name in metrics):
        lines.append("* best by the validation images")
    if table.averaged:
        lines.append("± sample standard deviation over seeds")
    lines += [f"note: {note}" for note in notes_on(table, metrics)]
    for state in ("failed", "unfinished"):
        runs = [run for run in table.runs if run.state == state]
        if runs:
            lines += ["", f"{state}: {len(runs)} of {len(table.runs)}"]
            lines += [f"  {run_label(run, table)}: {run.error}" for run in runs]
    return "\n".join([visible(title), "", *grid, *map(visible, lines)]).rstrip("\n")


def run_label(run: ComparedRun, table: Table) -> str:
    """`3 (vae · latent.dim=8 · seed=1)`."""
    seeds = {shown(one.seed) for one in table.runs}
    details = label(run.values, table.keys if len(seeds) == 1 else (*table.keys, "seed"))
    return f"{run.name} ({details})" if details else run.name


def _grid(table: Table, groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """The groups by the keys that vary; without any there is one."""
    names = zip(*(group_names(group, table.keys) for group in groups), strict=True)
    columns = [[key, *column] for key, column in zip(table.keys or ["run"], names, strict=True)]
    if table.averaged:
        columns.append(["seeds", *(str(group.finished) for group in groups)])
    columns += [_column(name, groups) for name in metrics]
    header, *rows = map(list, zip(*columns, strict=True))
    return text_table(header, rows)


def _column(metric: str, groups: Sequence[Group]) -> list[str]:
    """A metric and its means, to the right; a `*` behind the best."""
    marks = ["*" if group.stats[metric].best else " " for group in groups]
    marks = marks if "*" in marks else [""] * len(groups)
    cells = [mean_text(group, metric) + mark for group, mark in zip(groups, marks, strict=True)]
    column = [in_one_line(metric), *cells]
    width = max(map(len, column))
    return [cell.rjust(width) for cell in column]


def mean_text(group: Group, metric: str) -> str:
    """A mean with its deviation; how many values it is of where some are missing."""
    stat = group.stats[metric]
    if stat.mean is None:
        return ""
    few = f" (of {stat.n})" if stat.n < group.finished else ""
    return number(stat.mean, stat.std) + few


def group_names(group: Group, keys: Sequence[str]) -> list[str]:
    """What distinguishes a group: the values of the keys that vary, without any its run."""
    if not keys:
        return [group.runs[0].name if len(group.runs) == 1 else "all"]
    return [shown(group.values[key]) if key in group.values else "" for key in keys]
