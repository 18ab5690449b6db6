"""What is given again where a sweep is resumed: places, and what its record does not hold."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from aecore.config.arguments import parse
from aecore.config.folders import resuming
from aecore.config.overrides import SWEEPER, Override, read
from aecore.errors import UserError
from aecore.runs.folder import is_finished
from aecore.runs.places import is_place, places, same_place
from aecore.runs.sweep import RECORD, Sweep
from aecore.sweeps.selections import Selections

_OUTPUT = "paths.output_dir"


def with_given(
    sweep: Sweep, hydras: Sequence[Override], ours: Sequence[Override]
) -> tuple[Sweep, Selections | None]:
    """A recorded sweep whose jobs have what was given again, and what composes them.

    hydras: what was given of Hydra's own. ours: what was given of our configuration; it takes the
    place of what jobs have under these keys.
    Raises UserError for an unfinished job that cannot be composed, and for one whose places
    (`aecore.runs.places`) are neither given nor those that this user's own configuration has.
    """
    launching = (o.line for o in hydras if not o.is_below(SWEEPER))
    selections = Selections(parse([*sweep.flags, *sweep.overrides, *launching]))
    if sweep.search is not None:
        from aecore.sweeps.search.extra import check_optuna

        check_optuna()
        from aecore.sweeps.search.settings import first_point

        point = [*read(sweep.search["fixed"]), *first_point(sweep)]
        rest, mine = _replaced(point, ours)
        _check_places(sweep, [(rest, mine)], selections)
        return replace(sweep, again=[o.line for o in ours]), None
    names = {o.name for job in sweep.jobs for o in read(job)}
    jobs, unfinished = [], []
    for job, folder in zip(sweep.jobs, sweep.folders, strict=True):
        recorded = read(job)
        own = {o.name for o in recorded}
        rest, mine = _replaced(recorded, [o for o in ours if o.name in own or o.name not in names])
        jobs.append([o.line for o in (*rest, *mine)])
        if not is_finished(folder):
            unfinished.append((rest, mine))
    _check_places(sweep, unfinished, selections)
    return replace(sweep, jobs=jobs), selections


def _replaced(
    recorded: Sequence[Override], given: Sequence[Override]
) -> tuple[list[Override], list[Override]]:
    """The recorded overrides without those that were given again, and these."""
    names = {o.name for o in given}
    return [o for o in recorded if o.name not in names], [*given]


def _check_places(
    sweep: Sweep,
    jobs: Sequence[tuple[Sequence[Override], Sequence[Override]]],
    selections: Selections,
) -> None:
    """Raise UserError for places that only the record knows.

    jobs: of each the overrides of the record, and those that were given.
    """
    unknown: dict[str, Override] = {}
    for recorded, given in jobs:
        there = places(selections.config((*recorded, *given)))
        leading = [o for o in recorded if o.group is None and is_place(o.key)]
        if not leading:
            continue
        rest = [o for o in recorded if o not in leading]
        here = places(selections.config((*rest, *given)))
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
