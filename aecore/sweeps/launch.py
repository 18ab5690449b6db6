"""Start the jobs of a sweep that are not finished, then compare all."""

from __future__ import annotations

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from aecore.config.arguments import parse
from aecore.config.compose import composing, hydra_of
from aecore.config.folders import resuming
from aecore.config.overrides import Override, quoted
from aecore.config.terminal import say, show
from aecore.runs.folder import is_finished
from aecore.runs.lock import writing
from aecore.runs.sweep import Sweep
from aecore.sweeps.loader import Loader
from aecore.sweeps.selections import Selections


def launch(sweep: Sweep, more: list[Override], selections: Selections | None = None) -> int:
    """Start the jobs that are not finished, compare all; returns the exit status.

    more: further overrides of Hydra's own (another launcher).
    selections: what composed the jobs, if they were checked in this process.
    """
    if sweep.search is None:
        with writing(sweep.folder, "running this sweep"):
            return _launch_grid(sweep, more, selections)
    from aecore.sweeps.search.extra import check_optuna

    check_optuna()
    from aecore.sweeps.search.loop import search

    hint = (
        "for a second worker start another search with the same hydra.sweeper.storage\n  "
        "and hydra.sweeper.study_name"
    )
    with writing(sweep.folder, "at this search", hint=hint):
        return search(sweep, more)


def _launch_grid(sweep: Sweep, more: list[Override], selections: Selections | None) -> int:
    from aecore.sweeps.comparison import compare_sweep, compared_if_interrupted
    from aecore.sweeps.engines import run_jobs
    from aecore.sweeps.job import run_job

    todo = [n for n, folder in enumerate(sweep.folders) if not is_finished(folder)]
    say(f"sweep of {len(sweep.jobs)} jobs, {len(todo)} to do: {sweep.folder}")
    if todo:
        arguments = parse([*sweep.flags, *sweep.overrides, *(o.line for o in more)])
        settings = [f"hydra.sweep.dir={quoted(str(sweep.folder))}", "hydra.mode=MULTIRUN"]
        with hydra_of(arguments) as hydra:
            with composing(arguments, arguments.overrides):
                config = hydra.compose_config(
                    arguments.config_name, [*arguments.lines, *settings], run_mode=RunMode.MULTIRUN
                )
                loader = hydra.config_loader
                # other launchers send it around
                if config.hydra.launcher._target_.endswith(".BasicLauncher"):
                    loader = Loader(loader.get_search_path(), selections or Selections(arguments))
                launcher = Plugins.instance().instantiate_launcher(
                    hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks(config)),
                    task_function=run_job,
                    config=config,
                )
            with compared_if_interrupted(sweep):
                run_jobs(launcher, sweep.folder, {n: sweep.jobs[n] for n in todo}, sweep.names)
    summary = compare_sweep(sweep, figures=True)
    show(summary.terminal_text)
    failed = [folder for folder in sweep.folders if not is_finished(folder)]
    if failed:
        say(f"\n{len(failed)} of {len(sweep.jobs)} jobs failed; try them again with "
              f"{resuming(sweep.folder)}")  # fmt: skip
    return 1 if failed else 0
