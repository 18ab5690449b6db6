"""The Lightning callbacks of a job, which its sweep needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aecore.runs.sweep import read_sweep

if TYPE_CHECKING:
    from pytorch_lightning import Callback


def job_callbacks(folder: Path) -> list[Callback]:
    """Those of the run in a folder: of a trial the one that reports to its search, else none.

    Raises UserError where the search cannot be opened.
    """
    sweep = read_sweep(folder.parent)
    if sweep is None or sweep.search is None or not folder.name.isdigit():
        return []
    from aecore.sweeps.search.extra import check_optuna

    check_optuna()
    from aecore.sweeps.search.pruning import pruning  # Optuna, Lightning

    return pruning(sweep, int(folder.name))
