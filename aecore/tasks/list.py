"""`task=list`: the runs so far."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from aecore.config.folders import command
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.runs.folder import RUN, read_metrics, read_run
from aecore.runs.text_table import table
from aecore.tasks.base import Request, Task

_SHOWN = ("test/mse", "test/psnr", "test/elbo", "train/seconds")


class List(Task):
    """Prints a table of all runs below `paths.output_dir`, the newest last."""

    @override
    def __call__(self, request: Request) -> dict[str, float]:
        root = Path(request.config["paths"]["output_dir"])
        records = sorted(root.rglob(RUN), key=lambda path: path.stat().st_mtime)
        if not records:
            say(f"no runs below {root} yet: `{command()}` makes one")
            return {}
        rows, notes = [], []
        for record in records:
            folder = record.parent
            try:
                choices, metrics = read_run(folder)["choices"], read_metrics(folder)
            except UserError as error:
                notes.append(f"note: {error.summary}")
                continue
            values = [_number((metrics or {}).get(name)) for name in _SHOWN]
            state = "finished" if metrics is not None else "unfinished"
            names = [str(choices.get(group, "")) for group in ("model", "dataset")]
            rows.append([str(folder), *names, state, *values])
        if rows:
            say(table(["run", "model", "dataset", "state", *_SHOWN], rows))
        for note in notes:
            say(note)
        return {}


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""
