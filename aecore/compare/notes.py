"""Notes on the comparability of runs."""

from __future__ import annotations

from collections.abc import Sequence

from aecore.compare.metrics import reported, scope_of
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Group, Table
from aecore.compare.values import frozen


def notes_on(table: Table, metrics: Sequence[str] | None = None) -> list[str]:
    """Why runs are not comparable, one line each; empty if all are.

    metrics: those that the reader is shown; None for all.
    """
    finished = [run for run in table.runs if run.state == "finished"]
    notes = []
    sets = {run.test_data for run in finished}
    if len(sets) > 1:
        names = [*dict.fromkeys(str(run.values.get("dataset", "?")) for run in finished)]
        what = ", ".join(names) if len(names) > 1 else f"{names[0]} with other settings"
        notes.append(
            f"the runs were tested on different data ({what}): "
            "the best is marked among runs on the same"
        )
    incomparable = [
        metric
        for metric in (table.metrics if metrics is None else metrics)
        if reported(table.reports, metric).depends_on
        and _scopes(finished, metric, table) > len(sets)
    ]
    if incomparable:
        notes.append(
            f"{', '.join(incomparable)}: of different objectives or options, "
            "so the best is marked among runs of the same"
        )
    validated = [run for run in finished if any(m.startswith("val/") for m in run.metrics or ())]
    if len(validated) < len(finished) and len(table.groups) > 1:
        some = "some runs have" if validated else "these runs have"
        notes.append(f"{some} no validation images (dataset.val_size), so they are not ranked")
    if any(map(_repeats, table.groups)):
        notes.append("some runs are repeats of the same seed: their deviation is no spread")
    if any(0 < s.n < group.finished for group in table.groups for s in group.stats.values()):
        notes.append("some values were not finite: they are left out of their means")
    if len({run.revision for run in finished}) > 1:
        notes.append("the runs were made by different revisions of the code")
    return notes


def _scopes(runs: Sequence[ComparedRun], metric: str, table: Table) -> int:
    """How many quantities the runs report by a metric."""
    measured = [run for run in runs if metric in (run.metrics or {})]
    return len({scope_of(run, metric, table.reports) for run in measured})


def _repeats(group: Group) -> bool:
    seeds = [frozen(run.seed) for run in group.runs if run.state == "finished"]
    return len(set(seeds)) < len(seeds)
