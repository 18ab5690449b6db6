"""A multirun: the grid checked and recorded before its first job, then launched, compared, resumed.

    sweep.json          what was asked for and the list of jobs: all that `resume` needs
    0/ 1/ 2/ ...        the run folders; a failed one holds error.txt
    summary.csv, summary.json, report.html
    figures/            at its end: figures of all jobs together

Hydra's launchers start the jobs (one after another, or joblib, submitit, ray). The grid is spelled
out here and not by Hydra's sweeper, so that it can be checked first and jobs can be left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode

from aecore.arguments import Arguments, quoted
from aecore.choices import split_override
from aecore.compose import Job, compose, opened, refusal
from aecore.errors import UserError
from aecore.loading import Composed, Loader
from aecore.results import METRICS, reserve, write_atomically
from aecore.roots import resuming

RECORD = "sweep.json"
KEPT = 200  # configurations, of a quarter of a megabyte each


@dataclass(frozen=True)
class Sweep:
    """A recorded multirun.

    overrides: those that all jobs share and that Hydra itself reads, in Hydra's grammar.
    jobs: the overrides of each job, in order; job i lives in `folder/i`.
    numbers: where given, job i lives in `folder/numbers[i]` instead.
    search: where the jobs are chosen one after another, what `aecore.search` remembers.
    composed: configurations of jobs, where they are known; not recorded.
    """

    folder: Path
    flags: list[str]
    overrides: list[str]
    jobs: list[list[str]]
    numbers: list[int] | None = None
    search: dict[str, Any] | None = None
    composed: Composed = field(default_factory=dict, repr=False)

    def write(self) -> None:
        """Record it in its folder."""
        record = {"flags": self.flags, "overrides": self.overrides, "jobs": self.jobs}
        if self.search is not None:
            record |= {"numbers": self.numbers, "search": self.search}
        write_atomically(self.folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())

    @property
    def folders(self) -> list[Path]:
        """The run folder of each job, there or not."""
        numbers = range(len(self.jobs)) if self.numbers is None else self.numbers
        return [self.folder / str(number) for number in numbers]

    @property
    def grid(self) -> list[dict[str, str]]:
        """Key and value of every override of each job."""
        return [dict(split_override(o) for o in job) for job in self.jobs]


def read(folder: Path) -> Sweep | None:
    """The sweep recorded in a folder, None where there is none; UserError for a damaged record."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text())
        more = (record.get("numbers"), record.get("search"))
        return Sweep(folder, record["flags"], record["overrides"], record["jobs"], *more)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged record of a sweep ({error})") from error


def plan(arguments: Arguments, job: Job) -> Sweep:
    """Spell out the grid, check every point, then record it in a new folder; raises UserError."""
    ours = [o for o in arguments.overrides if not o.startswith("hydra")]
    hydras = [o for o in arguments.overrides if o.startswith("hydra")]
    jobs = points(arguments, job, ours)
    composed = check(arguments, jobs)
    folder = sweep_folder(job, job.words.get("sweeps"))
    study_override = [o for o in ours if split_override(o)[0] == "sweeps"]
    sweep = Sweep(folder, arguments.flags, hydras + study_override, jobs, composed=composed)
    sweep.write()
    return sweep


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
    from aecore.tasks.train import Shapes

    shapes = Shapes()
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


def launch(sweep: Sweep, more: list[str]) -> int:
    """Start the jobs that are not finished, compare all; returns the exit status.

    more: further overrides of Hydra's own (another launcher).
    """
    from aecore.compare import compare
    from aecore.engines import run_jobs
    from aecore.tasks.run import run_job

    if sweep.search is not None:
        from aecore.search.loop import search

        return search(sweep, more)
    todo = [n for n, folder in enumerate(sweep.folders) if not (folder / METRICS).is_file()]
    print(f"sweep of {len(sweep.jobs)} jobs, {len(todo)} to do: {sweep.folder}", flush=True)
    if todo:
        arguments = Arguments(
            sweep.flags, sweep.overrides + more, multirun=True, informational=False
        )
        settings = [f"hydra.sweep.dir={quoted(str(sweep.folder))}", "hydra.mode=MULTIRUN"]
        with opened(arguments) as hydra:
            config = hydra.compose_config(
                arguments.config_name, [*arguments.overrides, *settings], run_mode=RunMode.MULTIRUN
            )
            loader = hydra.config_loader
            if config.hydra.launcher._target_.endswith(".BasicLauncher"):  # others send it around
                loader = Loader(loader.get_search_path(), sweep.composed)
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks(config)),
                task_function=run_job,
                config=config,
            )
            run_jobs(launcher, sweep.folder, {n: sweep.jobs[n] for n in todo})
    summary = compare(
        sweep.folders, sweep.folder, title=title(sweep), grid=sweep.grid, figures=True
    )  # fmt: skip
    print(summary.told, flush=True)
    failed = [folder for folder in sweep.folders if not (folder / METRICS).is_file()]
    if failed:
        print(f"\n{len(failed)} of {len(sweep.jobs)} jobs failed; try them again with "
              f"{resuming(sweep.folder)}", flush=True)  # fmt: skip
    return 1 if failed else 0


def title(sweep: Sweep) -> str:
    """What the report is called: the study's name and its time."""
    return f"{sweep.folder.parent.name} {sweep.folder.name}"
