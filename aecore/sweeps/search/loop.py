"""The loop of a search: ask for a batch of trials, launch it, tell the results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from optuna import Trial
from optuna.trial import TrialState

from aecore.compare.runs import failure_of
from aecore.config.arguments import parse
from aecore.config.compose import composing, hydra_of
from aecore.config.overrides import Override, quoted
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.runs.files import write_atomically
from aecore.runs.folder import ERROR
from aecore.runs.sweep import Sweep, read_sweep
from aecore.sweeps.comparison import compared_if_interrupted
from aecore.sweeps.engines import run_jobs
from aecore.sweeps.search.pruning import PRUNED
from aecore.sweeps.search.report import finish
from aecore.sweeps.search.settings import plan_of, searching, settings_of
from aecore.sweeps.search.study import STORAGE, Shared, absolute, opened


def search(sweep: Sweep, more: list[Override]) -> int:
    """Run or continue a recorded search; returns the exit status, 1 where a trial failed.

    more: further overrides of Hydra's own: another launcher, other n_trials or n_jobs.
    """
    from aecore.sweeps.job import run_job

    plan = plan_of(sweep)
    arguments = parse(searching([*sweep.flags, *sweep.overrides, *(o.line for o in more)]))
    changed = {o.key.rpartition(".")[2] for o in more if o.is_below("hydra.sweeper")}
    if changed:
        settings = settings_of(arguments, arguments.overrides)
        plan = plan.model_copy(update=settings.model_dump(include=changed))
        if plan.storage is not None:
            plan = plan.model_copy(update={"storage": absolute(plan.storage)})
    here = [f"hydra.sweep.dir={quoted(str(sweep.folder))}", "hydra.mode=MULTIRUN"]
    with hydra_of(arguments) as hydra:
        latest = read_sweep(sweep.folder)  # another process may have held the lock until now
        assert latest is not None
        search = plan.model_dump()
        replace(sweep, jobs=latest.jobs, numbers=latest.numbers, search=search).write()
        with composing(arguments, arguments.overrides):
            config = hydra.compose_config(
                arguments.config_name, [*arguments.lines, *here], run_mode=RunMode.MULTIRUN
            )
            sweeper = Plugins.instance().instantiate_sweeper(
                hydra_context=HydraContext(
                    config_loader=hydra.config_loader, callbacks=Callbacks(config)
                ),
                task_function=run_job,
                config=config,
            )
        with compared_if_interrupted(sweep):
            sweeper.sweep([*sweep.again])
    return finish(sweep.folder, sweep.again)


def run_trials(folder: Path, launcher: Launcher, again: Sequence[str]) -> None:
    """Launch the remaining trials of the recorded search in a folder; raises UserError.

    again: overrides of every job that are not recorded.
    """
    sweep = read_sweep(folder)
    assert sweep is not None
    plan = plan_of(sweep)
    shared = opened(folder, plan)
    lost = set(sweep.numbers or []) - {trial.number for trial in shared.mine()}
    if lost:
        raise UserError(
            f"{plan.storage or folder / STORAGE}: it knows nothing of the trials in {folder}",
            "bring that file back; without it the search cannot go on",
        )
    shared.retry_failed()
    retried = shared.retried()
    waiting = shared.unfinished()
    lacking = len(waiting) + shared.lacking()
    say(
        f"search of {plan.n_trials} trials, {lacking} to do, to {plan.direction} {plan.metric}: "
        f"{folder}",
    )
    while batch := _batch(shared, waiting):
        jobs = {trial.number: [*plan.job(shared.values(trial)), *again] for trial in batch}
        known = dict(zip(sweep.numbers or [], sweep.jobs, strict=True)) | jobs
        known = {number: job for number, job in known.items() if number not in retried}
        sweep = replace(sweep, numbers=sorted(known), jobs=[known[n] for n in sorted(known)])
        sweep.write()
        for trial, value in zip(batch, run_jobs(launcher, folder, jobs), strict=True):
            _tell(shared, trial, folder / str(trial.number), value)


def _batch(shared: Shared, waiting: list[Trial]) -> list[Trial]:
    """The next trials, interrupted ones first; takes them out of `waiting`."""
    batch: list[Trial] = []
    while len(batch) < shared.plan.n_jobs:
        trial = waiting.pop(0) if waiting else shared.next()
        if trial is None:
            break
        batch.append(trial)
    return batch


def _tell(shared: Shared, trial: Trial, folder: Path, value: float | None) -> None:
    """Tell Optuna how a job ended; what failed keeps its reason in the trial and in error.txt."""
    reason = f"{shared.plan.metric}: this job has no such metric"
    if (failure := failure_of(folder)) is not None:
        reason = failure
    elif value is not None and math.isfinite(value):
        pruned = shared.trials()[trial.number].user_attrs.get(PRUNED, False)
        state, values = (TrialState.PRUNED, None) if pruned else (TrialState.COMPLETE, value)
        shared.study.tell(trial, values, state)
        return
    else:
        reason = reason if value is None else f"{shared.plan.metric} became {value}"
        write_atomically(folder / ERROR, f"{reason}\n".encode())
    shared.fail(trial, reason)
