"""`resume=SWEEP_FOLDER`: the recorded sweep goes on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aecore.config.folders import command, flags
from aecore.config.groups import check_choices
from aecore.config.overrides import Override
from aecore.config.overrides import read as read_overrides
from aecore.errors import UserError

if TYPE_CHECKING:
    from aecore.runs.sweep import Sweep


def recorded_sweep(folder: Path, overrides: Iterable[Override]) -> Callable[[], int] | None:
    """A function that continues the sweep of a folder, None if there is none; raises UserError.

    The grid is the recorded one; only Hydra's own overrides (another launcher, for a search also
    other numbers of trials) may be given, and the folder of the user's own options must be given
    again: no code is read from where a record points to.
    """
    if not (folder / "sweep.json").is_file():
        return None
    from aecore.runs.sweep import read_sweep
    from aecore.sweeps.launch import launch

    recorded = read_sweep(folder)
    assert recorded is not None
    _check_recorded(recorded)
    sweep = _from_here(recorded)
    more = [o for o in overrides if o.key != "resume"]
    free = ["hydra.launcher"]
    if sweep.search is not None:
        free += ["hydra.sweeper.n_trials", "hydra.sweeper.n_jobs"]
    for override in more:
        if not any(override.is_below(key) for key in free):
            raise UserError(
                f"{override.typed}: a resumed sweep keeps its grid and configuration",
                f"only these may be given: hydra/launcher, {', '.join(free)}",
            )
    return lambda: launch(sweep, more)


def _from_here(sweep: Sweep) -> Sweep:
    """A recorded sweep with the `--config-dir` of this command line instead of its own."""
    before = sweep.flags
    if "--config-dir" in before:
        at = before.index("--config-dir")
        if not flags():
            raise UserError(
                f"{sweep.folder}: started with --config-dir, which must be given again",
                f"{command()} {shlex.join([*before[at : at + 2], f'resume={sweep.folder}'])}",
            )
        before = [*before[:at], *before[at + 2 :]]
    return replace(sweep, flags=[*flags(), *before])


def _check_recorded(sweep: Sweep) -> None:
    """Raise UserError where a record names classes, or would read or change the environment."""
    overrides = read_overrides([*sweep.overrides, *(o for job in sweep.jobs for o in job)])
    check_choices((o for o in overrides if o.of_hydra), {})
    for override in overrides:
        if "_target_" in override.key or "${" in override.line:
            raise UserError(
                f"{sweep.folder / 'sweep.json'}: {override.typed}: not taken from a record",
                "start the sweep anew with it",
            )
