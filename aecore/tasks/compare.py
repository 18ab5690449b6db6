"""`task=compare`: any runs against one another."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from aecore.compare.compare import PaperTable, compare, compare_sweep
from aecore.compare.select import is_job, select
from aecore.config.build import validate
from aecore.config.folders import command, expanded
from aecore.config.schema import Config
from aecore.config.terminal import show
from aecore.errors import UserError
from aecore.runs.folder import is_run, reserve
from aecore.runs.sweep import Sweep, read_sweep, sweep_of
from aecore.tasks.base import Request, Task


class Compare(Task):
    """Prints a table of the chosen runs; writes it, a report and joint figures of all runs.

    `runs` selects the runs: paths, patterns and sweep folders. The files go to `out`; without it
    to the sweep's own folder where the whole of one sweep is compared, else to a new one below
    `paths.output_dir`/comparisons.

    table: the form in which means and deviations over seeds are written, besides groups.csv.
    metrics: the columns of table.tex or table.md, in order; None for all metrics of validation and
        test images of which one side is better.
    """

    table: PaperTable
    metrics: list[str] | None

    def __call__(self, request: Request) -> dict[str, float]:
        """Compare; raises UserError if no run is selected."""
        config = validate(Config, request.config)
        if not config.runs:
            raise UserError(
                "runs: nothing to compare; write for example runs='outputs/sweeps/x/*'",
                f"`{command()} task=list` shows the runs",
            )
        folders = select(config.runs)
        sweep = _whole_sweep(folders)
        out = _place(sweep, config)
        options: dict[str, Any] = {"figures": True, "paper": self.table, "metrics": self.metrics}
        if sweep is not None:
            summary = compare_sweep(sweep, out, **options)
        else:
            count = f"{len(folders)} run{'' if len(folders) == 1 else 's'}"
            summary = compare(folders, out, title=f"Comparison of {count}", **options)
        show(summary.terminal_text)
        return {}


def _place(sweep: Sweep | None, config: Config) -> Path:
    """Where the comparison goes; a search keeps the report that it wrote itself."""
    if config.out is not None:
        out = expanded(config.out)
        if is_run(out):
            raise UserError(f"out={out}: is itself a run", "give another folder")
        return out
    if sweep is not None and sweep.search is None:
        return sweep.folder
    comparisons = Path(config.paths.output_dir) / "comparisons"
    return reserve(comparisons / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")


def _whole_sweep(folders: list[Path]) -> Sweep | None:
    """The sweep of which these are all jobs with a folder; None if there is none."""
    sweeps = {sweep_of(folder) for folder in folders}
    if len(sweeps) > 1:
        return None
    sweep = None
    with suppress(UserError):  # its runs can be compared without its record
        sweep = read_sweep(sweeps.pop())
    if sweep is None or set(folders) != {f for f in sweep.folders if f.is_dir() and is_job(f)}:
        return None
    return sweep
