"""`resume=SWEEP_FOLDER`: the recorded sweep goes on, with what its record does not hold."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from aecore.config.arguments import parse
from aecore.config.folders import command, flags, resuming
from aecore.config.groups import check_choices
from aecore.config.overrides import SWEEPER, Override, read
from aecore.errors import UserError
from aecore.runs.folder import is_finished
from aecore.runs.places import is_place, places, same_place
from aecore.runs.sweep import STORAGE, Sweep, read_sweep
from aecore.runs.sweep_record import RECORD
from aecore.sweeps.launch import launch
from aecore.sweeps.selections import Selections

Job = tuple[list[Override], list[Override]]  # what is recorded of it, what is given again
_LAUNCHER = "hydra.launcher"
_OUTPUT = "paths.output_dir"


def recorded_sweep(folder: Path, overrides: Iterable[Override]) -> Callable[[], int] | None:
    """A function that continues the sweep of a folder, None if there is none; raises UserError.

    The grid is the recorded one. Given may be another launcher, for a search also other numbers of
    trials. Given must be what the record does not hold, and what leads outside the folder of the
    sweep; also the folder of the user's own options: no code is read from where a record points to.
    """
    if not (folder / RECORD).is_file():
        return None
    sweep = read_sweep(folder)
    assert sweep is not None
    typed = [o for o in overrides if o.key != "resume"]
    free = [_LAUNCHER]
    if sweep.search is not None:
        free += [f"{SWEEPER}.n_trials", f"{SWEEPER}.n_jobs", STORAGE]
        if sweep.search["storage"] is not None:  # a database may be anywhere
            sweep = replace(sweep, unrecorded=[*sweep.unrecorded, STORAGE])
    _check_typed(typed, sweep, free)
    sweep = _with_own_folder(sweep)
    launchers = [o.line for o in typed if o.name == "hydra/launcher"]
    if launchers and launchers[-1] not in sweep.overrides:
        sweep = _without_launcher(sweep)
    _check_given(sweep, typed)
    hydras = [o for o in typed if o.of_hydra]
    check_choices(hydras, {})
    ready, selections = _with_given(sweep, hydras, [o for o in typed if not o.of_hydra])
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


def _with_own_folder(sweep: Sweep) -> Sweep:
    """A recorded sweep with the `--config-dir` of this command line instead of its own."""
    pairs = list(zip(sweep.flags[::2], sweep.flags[1::2], strict=True))
    folders = [part for pair in pairs for part in pair if pair[0] == "--config-dir"]
    if folders and not flags():
        raise UserError(
            f"{sweep.folder}: started with --config-dir, which must be given again",
            f"{command()} {shlex.join([*folders, f'resume={sweep.folder}'])}",
        )
    others = [part for pair in pairs for part in pair if pair[0] != "--config-dir"]
    return replace(sweep, flags=[*flags(), *others])


def _without_launcher(sweep: Sweep) -> Sweep:
    """The sweep without its launcher and the settings of that."""
    return replace(
        sweep,
        overrides=[o.line for o in read(sweep.overrides) if not o.is_below(_LAUNCHER)],
        unrecorded=[n for n in sweep.unrecorded if not _is_within(n.replace("/", "."), _LAUNCHER)],
    )


def _is_within(name: str, node: str) -> bool:
    return f"{name}.".startswith(f"{node}.")


def _check_given(sweep: Sweep, typed: Sequence[Override]) -> None:
    """Raise UserError for what the sweep was started with and neither recorded nor given."""
    missing = [
        name for name in sweep.unrecorded if not any(_is_within(name, o.name) for o in typed)
    ]
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(
            f"{sweep.folder}: {listed} is not recorded: give it again",
            f"{resuming(sweep.folder)} {missing[0]}=...",
        )


def _with_given(
    sweep: Sweep, hydras: Sequence[Override], ours: Sequence[Override]
) -> tuple[Sweep, Selections | None]:
    """A recorded sweep whose jobs have what was given again, and what composes them.

    hydras: what was given of Hydra's own. ours: what was given of our configuration; it takes the
    place of what jobs have under these keys.
    Raises UserError for an unfinished job that cannot be composed, and for one whose places
    (`aecore.runs.places`) are neither given nor those that this user's own configuration has.
    """
    recorded = [_first_trial(sweep)] if sweep.search else [*map(read, sweep.jobs)]
    names = {o.name for job in recorded for o in job}
    jobs: list[Job] = []
    for job in recorded:
        keys = {o.name for o in job}
        given = [o for o in ours if o.name in keys or o.name not in names]
        jobs.append(([o for o in job if o.name not in {o.name for o in given}], given))
    unfinished = jobs
    if sweep.search is None:
        pairs = zip(jobs, sweep.folders, strict=True)
        unfinished = [job for job, folder in pairs if not is_finished(folder)]
    launching = (o.line for o in hydras if not o.is_below(SWEEPER))
    selections = Selections(parse([*sweep.flags, *sweep.overrides, *launching]))
    _check_places(sweep, unfinished, selections)
    if sweep.search is not None:
        return replace(sweep, again=[o.line for o in ours]), None
    return replace(sweep, jobs=[[o.line for o in (*a, *b)] for a, b in jobs]), selections


def _first_trial(sweep: Sweep) -> Sequence[Override]:
    """The overrides of one point of a recorded search; UserError where the record is damaged."""
    from aecore.sweeps.search.extra import check_optuna

    check_optuna()
    from aecore.sweeps.search.settings import plan_of
    from aecore.sweeps.search.space import corners

    plan = plan_of(sweep)
    return read(plan.job(next(iter(corners(plan.distributions)))))


def _check_places(sweep: Sweep, jobs: Sequence[Job], selections: Selections) -> None:
    """Raise UserError for places that only the record knows."""
    unknown: dict[str, Override] = {}
    for recorded, given in jobs:
        there = places(selections.config((*recorded, *given)))
        leading = [o for o in recorded if o.group is None and is_place(o.key)]
        if not leading:
            continue
        here = places(selections.config([*(o for o in recorded if o not in leading), *given]))
        wrong = {key for key, value in there.items() if not same_place(value, here.get(key))}
        if wrong:
            others = any(key.startswith("logger.") for key in wrong)  # it may lie in output_dir
            blamed = [o for o in leading if o.key in wrong or (o.key == _OUTPUT and others)]
            unknown |= {o.line: o for o in blamed or leading}
    if unknown:
        listed = [o.typed for o in unknown.values()][:3]
        raise UserError(
            f"{sweep.folder / RECORD}: {', '.join(listed)}: leads elsewhere, so give it again",
            f"if it is yours: {resuming(sweep.folder)} {shlex.join(listed)}",
        )
