"""`task=list`: the runs so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from aecore.config.folders import command, groups
from aecore.config.near import keys
from aecore.config.terminal import say
from aecore.config.tree import at
from aecore.errors import ConfigError, UserError, nearest, shown
from aecore.runs.folder import ERROR, RUN, plain_config, read_history, read_metrics, read_run
from aecore.runs.text_table import table
from aecore.tasks.base import Request, Task

_STATES = ("finished", "unfinished", "failed")
_TESTED = ("test/mse", "test/elbo")
_HEADER = ["run", "model", "dataset", "state", "epochs", "val/loss", *_TESTED, "overrides"]


class List(Task):
    """Prints a table of the runs below `paths.output_dir`, the newest last.

    where: options of groups and values of keys that the runs must have, or their `state`:
        finished, unfinished or failed.
    """

    computes: ClassVar[bool] = False
    where: dict[str, Any]

    @override
    def __call__(self, request: Request) -> dict[str, float]:
        self._check()
        root = Path(request.config["paths"]["output_dir"])
        records = sorted(root.rglob(RUN), key=lambda path: path.stat().st_mtime)
        if not records:
            say(f"no runs below {root} yet: `{command()}` makes one")
            return {}
        rows, notes = [], []
        found: dict[str, list[object]] = {key: [] for key in self.where}
        for record in records:
            try:
                row = _row(record.parent)
                values = _values(record.parent, row, self.where)
                for key, value in values.items():
                    found[key].append(value)
                if all(_is(values[key], wanted) for key, wanted in self.where.items()):
                    rows.append(row)
            except UserError as error:
                notes.append(f"note: {error.summary}")
        for key, every in found.items():
            if not any(_is(value, self.where[key]) for value in every):
                known = ", ".join(sorted({shown(value) for value in every}))
                notes.append(f"note: {key} is {known or 'unknown'} in these runs")
        if rows:
            say(table(_HEADER, [[row[name] for name in _HEADER] for row in rows]))
        if self.where:
            say(f"{len(rows)} of {len(records)} runs")
        for note in notes:
            say(note)
        return {}

    def _check(self) -> None:
        """Raise ConfigError for what no run can have."""
        known = {"state", *groups(), *keys()} if self.where else set[str]()
        for key in self.where:
            if key not in known:
                problem = f"no group and no key of a configuration{nearest(key, known)}"
                hint = "for example 'list.where={dataset: mnist, latent.dim: 8, state: finished}'"
                raise ConfigError("list.where", key, problem, hint)
        state = self.where.get("state", _STATES[0])
        if state not in _STATES:
            raise ConfigError("list.where.state", state, f"known: {', '.join(_STATES)}")


def _row(folder: Path) -> dict[str, str]:
    """The cells of a run by their columns; raises UserError where it is damaged."""
    record, metrics, history = read_run(folder), read_metrics(folder), read_history(folder)
    choices = record["choices"]
    state = "finished"
    if metrics is None:
        state = "failed" if (folder / ERROR).is_file() else "unfinished"
    values = {**(history[-1] if history else {}), **(metrics or {})}
    return {
        "run": str(folder),
        **{group: shown(choices.get(group)) for group in ("model", "dataset")},
        "state": state,
        "epochs": str(len(history)),
        **{name: _number(values.get(name)) for name in ("val/loss", *_TESTED)},
        "overrides": " ".join(
            text for text in record["overrides"] if not text.startswith(("model=", "dataset="))
        ),
    }


def _values(folder: Path, row: Mapping[str, str], keys: Iterable[str]) -> dict[str, Any]:
    """The state of a run, its options of groups, and its values of keys; each file read once."""
    values: dict[str, Any] = {}
    choices = config = None
    for key in keys:
        if key == "state":
            values[key] = row["state"]
        elif key in groups():
            choices = read_run(folder)["choices"] if choices is None else choices
            values[key] = choices.get(key)
        else:
            config = plain_config(folder) if config is None else config
            values[key] = at(config, key)
    return values


def _is(value: Any, wanted: object) -> bool:
    """Whether a value is the wanted one, or holds it where options are a list."""
    return bool(value == wanted or (isinstance(value, list) and wanted in value))


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""
