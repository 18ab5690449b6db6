"""The Lightning callbacks of a job, which its sweep needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aecore.config.folders import resuming
from aecore.config.overrides import Override, as_override
from aecore.errors import UserError
from aecore.runs.sweep import STORAGE, read_sweep

if TYPE_CHECKING:
    from pytorch_lightning import Callback


def job_callbacks(folder: Path, given: Sequence[Override] | None = None) -> list[Callback]:
    """Those of the run in a folder: of a trial the one that reports to its search, else none.

    given: where the run alone is resumed, what was typed for that; a database elsewhere than in
        the folder of the search must be among it.
    Raises UserError where the search cannot be opened.
    """
    sweep = read_sweep(folder.parent)
    if sweep is None or sweep.search is None or not folder.name.isdigit():
        return []
    from aecore.sweeps.search.extra import check_optuna

    check_optuna()
    from aecore.sweeps.search.pruning import pruning  # Optuna, Lightning
    from aecore.sweeps.search.settings import absolute

    url = sweep.search["storage"]
    typed = [absolute(str(o.value)) for o in given or () if o.key == STORAGE]
    if given is not None and url is not None and url not in typed:
        raise UserError(
            f"{folder}: a trial of {STORAGE}={url}: it leads elsewhere, so give it again",
            f"if it is yours: {resuming(folder)} {as_override(STORAGE, url)}",
        )
    return pruning(sweep, int(folder.name))
