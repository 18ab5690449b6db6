"""A multirun: the grid checked and recorded before its first job, then launched, compared, resumed.

    sweep.json          what was asked for and the list of jobs: all that `resume` needs
    0/ 1/ 2/ ...        the run folders, or as hydra.sweep.subdir names them; a failed one holds
                        error.txt
    summary.csv, summary.json, report.html
    figures/            at its end: figures of all jobs together

Hydra's launchers start the jobs (one after another, or joblib, submitit, ray). The grid is spelled
out here and not by Hydra's sweeper, so that it can be checked first and jobs can be left out.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from aecore.config.arguments import Arguments
from aecore.config.compose import Composition, composing, hydra_of
from aecore.config.overrides import SUBDIR, Override, as_override, read
from aecore.config.terminal import say
from aecore.config.tree import at
from aecore.errors import UserError
from aecore.runs.files import make_folder
from aecore.runs.folder import reserve
from aecore.runs.recorded import is_recordable
from aecore.runs.sweep import Sweep
from aecore.runs.sweep_record import unusable
from aecore.sweeps.selections import Point, Selections

_MANY = 50  # jobs above which a line announces that they are being checked


def plan_grid(arguments: Arguments, composition: Composition) -> tuple[Sweep, Selections | None]:
    """Spell out the grid, check every point, then record it in a new folder; raises UserError.

    Returns with the sweep what composes its jobs.
    """
    jobs = points(arguments, composition)
    selections = check(arguments, jobs)
    names = job_names(selections, jobs)
    folder = sweep_folder(composition, composition.choices.get("sweeps"))
    lines = [literally(job, selections) for job in jobs]
    sweep = Sweep(folder, [*arguments.flags], shared(arguments), lines, names=names)
    sweep.begin()
    return sweep, selections


def literally(job: Point, selections: Selections) -> list[str]:
    """The overrides of a job for its record, interpolations resolved.

    What a logger reads from the environment, a secret, stays as it is and is not recorded.
    """
    return [
        o.line if is_recordable(o) or o.group or o.key.startswith("logger.")
        else read([as_override(o.key, at(selections.config(job), o.key))])[0].line
        for o in job
    ]  # fmt: skip


def shared(arguments: Arguments) -> list[str]:
    """The overrides that decide on the launcher: Hydra's own, the study and the experiment.

    The names of the jobs' folders are recorded as they are, not how they were made.
    """
    named = ("sweeps", "experiment")
    single = (o for o in arguments.overrides if not o.is_sweep)
    return [o.line for o in single if (o.of_hydra and o.key != SUBDIR) or o.key in named]


def job_names(selections: Selections, jobs: Sequence[Point]) -> list[str] | None:
    """The folders of the jobs below that of the sweep, None where they are their numbers.

    Raises UserError where `hydra.sweep.subdir` gives names that cannot be used.
    """
    names = [selections.name(job, number) for number, job in enumerate(jobs)]
    if names == [*map(str, range(len(names)))]:
        return None
    if (problem := unusable(names)) is not None:
        hint = f"write for example {SUBDIR}='${{latent.dim}}_${{seed}}', with the keys that vary"
        raise UserError(f"{SUBDIR}: {problem}", hint)
    return names


def sweep_folder(composition: Composition, name: str | None) -> Path:
    """The folder of a new sweep, made.

    name: of the folder that sweeps of this kind have in common, None for that of the configuration.
    """
    folder = Path(str(composition.whole.hydra.sweep.dir))
    if "hydra.sweep.dir" in composition.overridden:
        return make_folder(folder)
    return reserve(folder.parent.with_name(name) / folder.name if name else folder)


def points(arguments: Arguments, composition: Composition) -> list[Point]:
    """The jobs of a grid: the parameters of the study, then those of the command line."""
    overrides = grid(arguments, composition)
    for override in overrides:
        if override.parsed.is_interval_sweep():
            raise UserError(
                f"{override.typed}: holds too many values to run all",
                "add hydra/sweeper=optuna to search in it, or give a list",
            )
    with composing(arguments, overrides), hydra_of(arguments) as hydra:
        values = {o.name: o.single(hydra.config_loader) for o in overrides}
    return [*itertools.product(*values.values())]


def grid(arguments: Arguments, composition: Composition) -> list[Override]:
    """The parameters of a study and the overrides that all jobs are made of; the last counts."""
    parameters = read(f"{key}={value}" for key, value in composition.parameters.items())
    return [*parameters, *(o for o in arguments.overrides if not o.of_hydra)]


def check(arguments: Arguments, jobs: Sequence[Point], what: str = "job") -> Selections:
    """Compose and build every point; UserError names the first that cannot be.

    what: the name of a point in the message. Returns what composes them.
    """
    from aecore.training.config_checker import ConfigChecker

    if len(jobs) > _MANY:
        say(f"checking {len(jobs)} {what}s")
    checker, selections = ConfigChecker(), Selections(arguments)
    shown = tqdm(jobs, "checked", unit=what, leave=False, disable=not sys.stderr.isatty())
    for number, job in enumerate(shown):
        try:
            checker.check(selections.config(job))
        except UserError as error:
            point = (
                f"{what} {number + 1}/{len(jobs)} of the sweep ({' '.join(o.line for o in job)})"
            )
            raise UserError(f"{point}:\n{error.summary}", error.hint) from error
    return selections
