"""Start the jobs of a sweep that are not finished, then compare all."""

from __future__ import annotations

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from aecore.config.compose import hydra_of
from aecore.config.folders import resuming
from aecore.config.overrides import Override, parse, quoted
from aecore.runs.folder import is_finished
from aecore.runs.sweep import Sweep
from aecore.sweeps.loader import Loader
from aecore.sweeps.selections import Selections


def launch(sweep: Sweep, more: list[Override], selections: Selections | None = None) -> int:
    """Start the jobs that are not finished, compare all; returns the exit status.

    more: further overrides of Hydra's own (another launcher).
    selections: what composed the jobs, if they were checked in this process.
    """
    from aecore.sweeps.comparison import compare_sweep, compared_if_interrupted
    from aecore.sweeps.engines import run_jobs
    from aecore.sweeps.job import run_job

    if sweep.search is not None:
        from aecore.sweeps.search.extra import check_optuna

        check_optuna()
        from aecore.sweeps.search.loop import search

        return search(sweep, more)
    todo = [n for n, folder in enumerate(sweep.folders) if not is_finished(folder)]
    print(f"sweep of {len(sweep.jobs)} jobs, {len(todo)} to do: {sweep.folder}", flush=True)
    if todo:
        arguments = parse([*sweep.flags, *sweep.overrides, *(o.line for o in more)])
        settings = [f"hydra.sweep.dir={quoted(str(sweep.folder))}", "hydra.mode=MULTIRUN"]
        with hydra_of(arguments) as hydra:
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
    print(summary.terminal_text, flush=True)
    failed = [folder for folder in sweep.folders if not is_finished(folder)]
    if failed:
        print(f"\n{len(failed)} of {len(sweep.jobs)} jobs failed; try them again with "
              f"{resuming(sweep.folder)}", flush=True)  # fmt: skip
    return 1 if failed else 0
