"""summary.csv, groups.csv and summary.json: the comparison for other programs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aecore.compare.notes import notes_on
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Table
from aecore.compare.values import is_number, shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # the beginnings of formulas in spreadsheets


def link(path: Path, out: Path) -> str:
    """A path as seen from `out`, with forward slashes."""
    return Path(os.path.relpath(os.path.abspath(path), os.path.abspath(out))).as_posix()


def runs_csv(table: Table) -> str:
    """One row per run: name, state, error, varied keys, seed, every metric; empty where unknown."""
    keys = (*table.keys, "seed")
    header = ["name", "state", "error", *keys, *table.metrics]
    rows = [
        [
            *(run.name, run.state, run.error or ""),
            *(run.values.get(key, "") for key in keys),
            *(_known((run.metrics or {}).get(metric)) for metric in table.metrics),
        ]
        for run in table.runs
    ]
    return _csv([header, *rows])


def groups_csv(table: Table) -> str:
    """One row per group of seeds: varied keys, finished runs; mean, deviation and n of metrics."""
    columns = [f"{metric}_{what}" for metric in table.metrics for what in ("mean", "std", "n")]
    header = [*table.keys, "finished", *columns]
    rows = []
    for group in table.groups:
        stats = [group.stats[metric] for metric in table.metrics]
        numbers = [cell for stat in stats for cell in (_known(stat.mean), _known(stat.std), stat.n)]
        keys = (group.values.get(key, "") for key in table.keys)
        rows.append([*keys, group.finished, *numbers])
    return _csv([header, *rows])


def _known(value: float | None) -> float | str:
    return "" if value is None else value


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula: with an apostrophe before it."""
    if is_number(value):
        return repr(value)
    text = shown(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def to_json(table: Table, title: str, out: Path) -> str:
    """Strict JSON: null for what is not finite or not known; folders as seen from `out`."""
    whole = {
        "title": title,
        "varied": list(table.keys),
        "metrics": {name: {"better": table.direction(name)} for name in table.metrics},
        "notes": notes_on(table),
        "groups": [
            {
                "values": _plain(group.values),
                "runs": [run.name for run in group.runs],
                "finished": group.finished,
                "metrics": {name: asdict(stat) for name, stat in group.stats.items()},
            }
            for group in table.groups
        ],
        "runs": [_run(run, table, out) for run in table.runs],
    }
    return json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _run(run: ComparedRun, table: Table, out: Path) -> dict[str, Any]:
    values = {key: run.values[key] for key in (*table.keys, "seed") if key in run.values}
    return {
        "name": run.name,
        "folder": link(run.folder, out),
        "state": run.state,
        "error": run.error,
        "epochs": run.epochs,
        "values": _plain(values),
        "metrics": run.metrics,
    }


def _plain(value: Any) -> Any:
    """JSON values as they are; anything else, and what is not finite, as text."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)
