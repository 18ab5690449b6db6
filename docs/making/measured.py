"""The presets with what was measured of them, from benchmarks/results/presets.json."""

from __future__ import annotations

import json
from typing import Any

from aecore.config.folders import ROOT, builtin_options
from aecore.config.help import first_comment
from docs.making.docstrings import escaped
from docs.making.page import Page
from docs.making.tables import table

RECORD = ROOT / "benchmarks" / "results" / "presets.json"
MINUS = "\N{MINUS SIGN}"
_HEAD = ("preset", "description", "test/mse", "test/elbo", "seconds", "parameters")


def presets_table(names: str, _: Page) -> str:
    """Those of `names`, divided by commas, or all that were measured, and the command."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    known, measured = builtin_options("model"), record["presets"]
    chosen = names.split(",") if names else measured
    rows = []
    for name in (name for name in chosen if name in measured and name in known):
        found = measured[name]
        cells = (
            _number(found.get("test/mse"), ".4f"),
            _number(found.get("test/elbo"), ".1f"),
            _number(found.get("seconds"), ".0f"),
            _number(found.get("parameters"), ",d"),
        )
        rows.append((f"`model={name}`", escaped(first_comment(known[name])), *cells))
    origin = f"Measured by `{record['command']}`, on {record['machine']}. {record['note']}".strip()
    return f"{table(_HEAD, rows)}\n\n*{origin}*"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form).replace("-", MINUS)
