"""`resume=SWEEP_FOLDER`: the recorded sweep goes on."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aecore.config.choices import split_override
from aecore.config.folders import command, flags
from aecore.errors import UserError

if TYPE_CHECKING:
    from aecore.runs.sweep import Sweep


def recorded_sweep(folder: Path) -> Callable[[list[str]], int] | None:
    """What continues the sweep of a folder, None where it holds none; raises UserError.

    The grid is the recorded one; only Hydra's own overrides (another launcher, for a search also
    other numbers of trials) may be given, and the folder of the user's own words must be given
    again: no code is read from where a record points to.
    """
    if not (folder / "sweep.json").is_file():
        return None
    from aecore.runs.sweep import read
    from aecore.sweeps.launch import launch

    recorded = read(folder)
    assert recorded is not None

    def go_on(overrides: list[str]) -> int:
        more = [o for o in overrides if split_override(o)[0] not in ("resume", "hydra.searchpath")]
        _check_recorded(recorded)
        sweep = _from_here(recorded, overrides)
        free = ["hydra/launcher=", "hydra.launcher."]
        if sweep.search is not None:
            free += ["hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs="]
        strange = [o for o in more if not o.startswith(tuple(free))]
        if strange:
            raise UserError(
                f"{strange[0]}: a resumed sweep keeps its own grid and configuration\n"
                f"  only these may be given: {', '.join(free)}"
            )
        return launch(sweep, more)

    return go_on


def _from_here(sweep: Sweep, overrides: list[str]) -> Sweep:
    """A recorded sweep with the folders of words that this command line names, not its own."""
    before = sweep.flags
    if "--config-dir" in before:
        at = before.index("--config-dir")
        if not flags():
            raise UserError(
                f"{sweep.folder}: started with words of your own, which must be named again\n"
                f"  {command()} {shlex.join([*before[at : at + 2], f'resume={sweep.folder}'])}"
            )
        before = [*before[:at], *before[at + 2 :]]
    place = [o for o in overrides if split_override(o)[0] == "hydra.searchpath"]
    kept = [o for o in sweep.overrides if split_override(o)[0] != "hydra.searchpath"]
    return replace(sweep, flags=[*flags(), *before], overrides=[*place, *kept])


def _check_recorded(sweep: Sweep) -> None:
    """Raise UserError where a record names classes by itself, or would read the environment."""
    for override in (*sweep.overrides, *(o for job in sweep.jobs for o in job)):
        if "_target_" in split_override(override)[0] or "${" in override:
            raise UserError(
                f"{sweep.folder / 'sweep.json'}: {override}: not taken from a record\n"
                "  start the sweep anew with it"
            )
