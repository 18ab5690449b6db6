"""Start the jobs of a sweep that are not finished, then compare all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode

from aecore.config.arguments import parse
from aecore.config.compose import composing, hydra_of
from aecore.config.folders import resuming
from aecore.config.overrides import SWEEPER, Override, quoted
from aecore.config.terminal import say, show
from aecore.runs.folder import is_finished
from aecore.runs.lock import writing
from aecore.runs.sweep import Sweep
from aecore.sweeps.selections import ComposedLoader, Selections


def launch(
    sweep: Sweep, more: Sequence[Override] = (), selections: Selections | None = None
) -> int:
    """Start the jobs that are not finished, compare all; returns the exit status.

    more: further overrides of Hydra's own (another launcher, more trials).
    selections: what composed the jobs, if they were checked in this process.
    """
    if sweep.search is None:
        with writing(sweep.folder, "running this sweep"):
            return _launch_grid(sweep, more, selections)
    from aecore.sweeps.search.loop import search

    hint = (
        "for a second worker start another search with the same hydra.sweeper.storage\n  "
        "and hydra.sweeper.study_name"
    )
    with writing(sweep.folder, "at this search", hint=hint):
        return search(sweep, more)


@contextmanager
def launcher_of(
    sweep: Sweep, more: Sequence[Override], selections: Selections | None = None
) -> Iterator[Launcher]:
    """Hydra's launcher of a sweep; the jobs are compared where a signal ends what is done with it.

    See `launch`. Raises UserError.
    """
    from aecore.sweeps.comparison import compared_if_interrupted
    from aecore.sweeps.job import run_job

    lines = (o.line for o in more if not o.is_below(SWEEPER))
    arguments = parse([*sweep.flags, *sweep.overrides, *lines])
    settings = [f"hydra.sweep.dir={quoted(str(sweep.folder))}", "hydra.mode=MULTIRUN"]
    with hydra_of(arguments) as hydra:
        with composing(arguments, arguments.overrides):
            config = hydra.compose_config(
                arguments.config_name, [*arguments.lines, *settings], run_mode=RunMode.MULTIRUN
            )
            loader = hydra.config_loader
            # other launchers send it around
            if config.hydra.launcher._target_.endswith(".BasicLauncher"):
                known = selections or Selections(arguments)
                loader = ComposedLoader(loader.get_search_path(), known)
            launcher: Launcher = Plugins.instance().instantiate_launcher(
                hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks(config)),
                task_function=run_job,
                config=config,
            )
        with compared_if_interrupted(sweep):
            yield launcher


def _launch_grid(sweep: Sweep, more: Sequence[Override], selections: Selections | None) -> int:
    from aecore.compare.compare import compare_sweep
    from aecore.sweeps.engines import run_jobs

    todo = [n for n, folder in enumerate(sweep.folders) if not is_finished(folder)]
    say(f"sweep of {len(sweep.jobs)} jobs, {len(todo)} to do: {sweep.folder}")
    if todo:
        with launcher_of(sweep, more, selections) as launcher:
            run_jobs(launcher, sweep.folder, {n: sweep.jobs[n] for n in todo}, sweep.names)
    summary = compare_sweep(sweep, figures=True)
    show(summary.terminal_text)
    failed = [folder for folder in sweep.folders if not is_finished(folder)]
    if failed:
        again = f"try them again with {resuming(sweep.folder)}"
        say(f"\n{len(failed)} of {len(sweep.jobs)} jobs failed; {again}")
    return 1 if failed else 0
