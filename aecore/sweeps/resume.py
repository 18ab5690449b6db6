"""`resume=SWEEP_FOLDER`: the recorded sweep goes on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aecore.config.folders import command, flags, resuming
from aecore.config.groups import check_choices
from aecore.config.overrides import Override
from aecore.errors import UserError
from aecore.runs.places import is_place

if TYPE_CHECKING:
    from aecore.runs.sweep import Sweep

_LAUNCHER = "hydra.launcher"


def recorded_sweep(folder: Path, overrides: Iterable[Override]) -> Callable[[], int] | None:
    """A function that continues the sweep of a folder, None if there is none; raises UserError.

    The grid is the recorded one. Given may be another launcher, for a search also other numbers of
    trials. Given must be what the record does not hold, and what leads outside the folder of the
    sweep; also the folder of the user's own options: no code is read from where a record points to.
    """
    if not (folder / "sweep.json").is_file():
        return None
    from aecore.runs.sweep import STORAGE, read_sweep
    from aecore.sweeps.again import with_given
    from aecore.sweeps.launch import launch

    sweep = read_sweep(folder)
    assert sweep is not None
    typed = [o for o in overrides if o.key != "resume"]
    free = [_LAUNCHER]
    if sweep.search is not None:
        free += ["hydra.sweeper.n_trials", "hydra.sweeper.n_jobs", STORAGE]
        if sweep.search["storage"] is not None:  # a database may be anywhere
            sweep = replace(sweep, unrecorded=[*sweep.unrecorded, STORAGE])
    _check_typed(typed, sweep, free)
    sweep = _with_launcher(_from_here(sweep), typed)
    _check_given(sweep, typed)
    hydras = [o for o in typed if o.of_hydra]
    check_choices(hydras, {})
    ready, selections = with_given(sweep, hydras, [o for o in typed if not o.of_hydra])
    return lambda: launch(ready, hydras, selections)


def _check_typed(typed: Sequence[Override], sweep: Sweep, free: Sequence[str]) -> None:
    """Raise UserError for what may not be given where a sweep is resumed."""
    nodes = [*free, *(name.replace("/", ".") for name in sweep.unrecorded)]
    for override in typed:
        leads = override.group is None and is_place(override.key)
        if not (leads or any(override.is_below(node) for node in nodes)):
            raise UserError(
                f"{override.typed}: a resumed sweep keeps its grid and configuration",
                f"only these may be given: hydra/launcher, {', '.join(free)}",
            )
        if override.is_sweep:
            raise UserError(f"{override.typed}: several values", "give one")


def _with_launcher(sweep: Sweep, typed: Sequence[Override]) -> Sweep:
    """The sweep without the settings of its launcher, where another one is given."""
    from aecore.config.overrides import read

    def chosen(overrides: Iterable[Override]) -> list[str]:
        return [o.text for o in overrides if o.name == "hydra/launcher"][-1:]

    recorded = read(sweep.overrides)
    if not chosen(typed) or chosen(typed) == chosen(recorded):
        return sweep
    return replace(
        sweep,
        overrides=[o.line for o in recorded if not o.is_below(_LAUNCHER)],
        unrecorded=[name for name in sweep.unrecorded if not _is_of_launcher(name)],
    )


def _is_of_launcher(name: str) -> bool:
    return f"{name.replace('/', '.')}.".startswith(f"{_LAUNCHER}.")


def _check_given(sweep: Sweep, typed: Sequence[Override]) -> None:
    """Raise UserError for what the sweep was started with and neither recorded nor given."""
    names = [o.name for o in typed]
    missing = [
        name
        for name in sweep.unrecorded
        if not any(f"{name}.".startswith(f"{given}.") for given in names)
    ]
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(
            f"{sweep.folder}: {listed} is not recorded: give it again",
            f"{resuming(sweep.folder)} {missing[0]}=...",
        )


def _from_here(sweep: Sweep) -> Sweep:
    """A recorded sweep with the `--config-dir` of this command line instead of its own."""
    pairs = list(zip(sweep.flags[::2], sweep.flags[1::2], strict=True))
    own = [part for pair in pairs for part in pair if pair[0] == "--config-dir"]
    if own and not flags():
        raise UserError(
            f"{sweep.folder}: started with --config-dir, which must be given again",
            f"{command()} {shlex.join([*own, f'resume={sweep.folder}'])}",
        )
    others = [part for pair in pairs for part in pair if pair[0] != "--config-dir"]
    return replace(sweep, flags=[*flags(), *others])
