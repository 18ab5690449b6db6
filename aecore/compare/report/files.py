"""summary.csv and summary.json: the comparison for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aecore.compare.notes import notes_on
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Table
from aecore.compare.values import is_number, shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # the beginnings of formulas in spreadsheets


def link(folder: Path, out: Path) -> str:
    """A run folder as seen from `out`, with forward slashes."""
    return Path(os.path.relpath(os.path.abspath(folder), os.path.abspath(out))).as_posix()


def to_csv(table: Table) -> str:
    """One row per run: name, state, error, varied keys, seed, every metric; empty where unknown."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "state", "error", *table.keys, "seed", *table.metrics])
    for run in table.runs:
        metrics = run.metrics or {}
        keys = (*table.keys, "seed")
        values = [_cell(run.values[key]) if key in run.values else "" for key in keys]
        numbers = [metrics.get(name) for name in table.metrics]
        cells = ["" if number is None else repr(number) for number in numbers]
        writer.writerow([_cell(run.name), run.state, _cell(run.error or ""), *values, *cells])
    return text.getvalue()


def _cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula: with an apostrophe before it."""
    text = shown(value)
    return f"'{text}" if not is_number(value) and text[:1] in _FORMULA else text


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
                "metrics": {
                    name: {"n": s.n, "mean": s.mean, "std": s.std, "best": s.best}
                    for name, s in group.stats.items()
                },
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
        "metrics": None if run.metrics is None else dict(run.metrics),
    }


def _plain(value: Any) -> Any:
    """JSON values as they are; anything else as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_plain(inside) for inside in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
