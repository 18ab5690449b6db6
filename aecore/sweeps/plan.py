"""A multirun: the grid checked and recorded before its first job, then launched, compared, resumed.

    sweep.json          what was asked for and the list of jobs: all that `resume` needs
    0/ 1/ 2/ ...        the run folders; a failed one holds error.txt
    summary.csv, summary.json, report.html
    figures/            at its end: figures of all jobs together

Hydra's launchers start the jobs (one after another, or joblib, submitit, ray). The grid is spelled
out here and not by Hydra's sweeper, so that it can be checked first and jobs can be left out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from aecore.config.arguments import Arguments
from aecore.config.choices import split_override
from aecore.config.compose import Job, compose, opened, refusal
from aecore.errors import UserError
from aecore.runs.folder import reserve
from aecore.runs.sweep import RECORD, Sweep
from aecore.sweeps.loader import Composed

KEPT = 200  # configurations, of a quarter of a megabyte each


def plan(arguments: Arguments, job: Job) -> tuple[Sweep, Composed]:
    """Spell out the grid, check every point, then record it in a new folder; raises UserError.

    Returns with the sweep the configurations of its first jobs, which need not be composed again.
    """
    ours = [o for o in arguments.overrides if not o.startswith("hydra")]
    hydras = [o for o in arguments.overrides if o.startswith("hydra")]
    jobs = points(arguments, job, ours)
    composed = check(arguments, jobs)
    folder = sweep_folder(job, job.words.get("sweeps"))
    study_override = [o for o in ours if split_override(o)[0] == "sweeps"]
    sweep = Sweep(folder, arguments.flags, hydras + study_override, jobs)
    sweep.write()
    return sweep, composed


def sweep_folder(job: Job, name: str | None) -> Path:
    """Make the folder of a new sweep; UserError where the one asked for holds a sweep already.

    name: of the folder that sweeps of this kind have in common, None for that of the configuration.
    """
    folder = Path(job.sweep_dir)
    if "hydra.sweep.dir" in job.given:
        if (folder / RECORD).exists():
            raise UserError(
                f"hydra.sweep.dir={folder}: holds a sweep already\n"
                f"  continue it with resume={folder}, or give another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    return reserve(folder.parent.with_name(name) / folder.name if name else folder)


def points(arguments: Arguments, job: Job, overrides: list[str]) -> list[list[str]]:
    """The jobs of a grid: the study's own parameters, then those of the command line."""
    given = [f"{key}={value}" for key, value in job.parameters.items()]
    try:
        with opened(arguments) as hydra:
            parser = OverridesParser.create(config_loader=hydra.config_loader)
            parsed = parser.parse_overrides([*given, *overrides])
            return BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    except HydraException as error:
        raise refusal(error, arguments, overrides) from None


def check(arguments: Arguments, jobs: list[list[str]], what: str = "job") -> Composed:
    """Compose and build every point; UserError names the first that cannot be.

    what: what a point is called in the message.
    Returns the configurations of the first jobs by their overrides, as many as memory is for.
    """
    from aecore.training.prepare import ConfigChecker

    shapes = ConfigChecker()
    hydras = [o for o in arguments.overrides if o.startswith("hydra")]
    composed = {}
    for number, job in enumerate(jobs):
        try:
            one = replace(arguments, overrides=[*hydras, *job], multirun=False)
            found = compose(one)
            shapes.check(found.config)
            if number < KEPT:
                composed[tuple(job)] = found.whole
        except UserError as error:
            lines = str(error).splitlines()
            raise UserError(
                "\n".join([f"{what} {number} of the sweep ({' '.join(job)}):", *lines][:3])
            ) from error
    return composed
