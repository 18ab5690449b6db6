"""`task=compare`: any runs against one another."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from aecore.compare import compare, select
from aecore.compare.select import runs_below
from aecore.errors import UserError
from aecore.results import is_run, reserve
from aecore.tasks.base import Request, Task
from aecore.words import word

_SWEEP = "multirun.yaml"  # Hydra leaves it in the folder of a multirun


class Compare(Task):
    """Prints a table of the chosen runs and writes summary.csv, summary.json and report.html.

    runs: paths, patterns and sweep folders. out: where to; None for the sweep's own folder where
    all of one sweep is compared, else a new one below `paths.output_dir`/comparisons.
    """

    @word
    def __init__(self, *, runs: str | list[str] | None, out: str | None) -> None:
        self.runs = runs
        self.out = out

    def __call__(self, request: Request) -> dict[str, float]:
        """Compare; raises UserError where nothing is selected."""
        if not self.runs:
            raise UserError(
                "runs: nothing to compare; write for example runs='outputs/sweeps/x/*'\n"
                "  `python run.py task=list` shows the runs"
            )
        folders = select(self.runs)
        out, title = self._place(folders, Path(request.config["paths"]["output_dir"]))
        summary = compare(folders, out, title=title)
        print(f"{summary.text}\n\nreport  {summary.report}")
        return {}

    def _place(self, folders: list[Path], output_dir: Path) -> tuple[Path, str]:
        """Where the comparison goes and what it is called."""
        parents = {folder.parent for folder in folders}
        sweep = parents.pop() if len(parents) == 1 else None
        if sweep is not None and not (sweep / _SWEEP).is_file():
            sweep = None
        title = f"Comparison of {len(folders)} run{'' if len(folders) == 1 else 's'}"
        if sweep is not None:
            title = f"Sweep {_name(sweep.resolve())}"
        if self.out is not None:
            out = Path(self.out).expanduser()
            if is_run(out):
                raise UserError(f"out={out}: is itself a run\n  give another folder")
            return out, title
        if sweep is not None and set(folders) >= set(runs_below(sweep)):
            return sweep, title
        return reserve(output_dir / "comparisons" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"), title


def _name(sweep: Path) -> str:
    """`study/time` below a folder `sweeps`, else the folder's own name."""
    parts = sweep.parts
    return "/".join(parts[-2:]) if parts[-3:-2] == ("sweeps",) else sweep.name
