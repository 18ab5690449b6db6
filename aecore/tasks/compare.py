"""`task=compare`: any runs against one another."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from aecore.compare.compare import compare
from aecore.compare.select import select
from aecore.config.component import component
from aecore.config.folders import command
from aecore.errors import UserError
from aecore.runs.folder import is_run, reserve
from aecore.runs.sweep import Sweep, read, title
from aecore.tasks.base import Request, Task


class Compare(Task):
    """Prints a table of the chosen runs; writes it, a report and figures of all runs together.

    runs: paths, patterns and sweep folders. out: where to; None for the sweep's own folder where
    the whole of one sweep is compared, else a new one below `paths.output_dir`/comparisons.
    """

    @component
    def __init__(self, *, runs: str | list[str] | None, out: str | None) -> None:
        self.runs = runs
        self.out = out

    def __call__(self, request: Request) -> dict[str, float]:
        """Compare; raises UserError where nothing is selected."""
        if not self.runs:
            raise UserError(
                "runs: nothing to compare; write for example runs='outputs/sweeps/x/*'\n"
                f"  `{command()} task=list` shows the runs"
            )
        folders = select(self.runs)
        sweep = _whole_sweep(folders)
        out = self._place(sweep, Path(request.config["paths"]["output_dir"]))
        if sweep is not None:
            summary = compare(
                sweep.folders, out, title=title(sweep), grid=sweep.grid, figures=True
            )  # fmt: skip
        else:
            count = f"{len(folders)} run{'' if len(folders) == 1 else 's'}"
            summary = compare(folders, out, title=f"Comparison of {count}", figures=True)
        print(summary.told)
        return {}

    def _place(self, sweep: Sweep | None, output_dir: Path) -> Path:
        """Where the comparison goes; a search keeps the report that it wrote itself."""
        if self.out is not None:
            out = Path(self.out).expanduser()
            if is_run(out):
                raise UserError(f"out={out}: is itself a run\n  give another folder")
            return out
        if sweep is not None and sweep.search is None:
            return sweep.folder
        return reserve(output_dir / "comparisons" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")


def _whole_sweep(folders: list[Path]) -> Sweep | None:
    """The sweep whose jobs, all that left a folder, these are; None where there is none."""
    parents = {folder.parent for folder in folders}
    if len(parents) > 1:
        return None
    sweep = None
    with suppress(UserError):  # its runs can be compared without its record
        sweep = read(parents.pop())
    if sweep is None or set(folders) != {folder for folder in sweep.folders if folder.is_dir()}:
        return None
    return sweep
