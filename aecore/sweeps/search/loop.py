"""The loop of a search: claim a batch of trials, launch it, tell the results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra.plugins.launcher import Launcher
from optuna import Trial
from optuna.trial import TrialState

from aecore.compare.runs import failure_of
from aecore.config.overrides import Override
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.runs.files import write_atomically
from aecore.runs.folder import ERROR
from aecore.runs.sweep import Sweep, read_sweep
from aecore.sweeps.engines import run_jobs
from aecore.sweeps.launch import launcher_of
from aecore.sweeps.search.pruning import PRUNED
from aecore.sweeps.search.report import finish
from aecore.sweeps.search.settings import changed, plan_of
from aecore.sweeps.search.study import FAILURE, STORAGE, Shared, opened


def search(sweep: Sweep, more: Sequence[Override]) -> int:
    """Run or continue a recorded search; returns the exit status, 1 where a trial failed.

    more: further overrides of Hydra's own: another launcher, other n_trials or n_jobs.
    Raises UserError.
    """
    latest = read_sweep(sweep.folder)  # another process may have held the lock until now
    assert latest is not None
    plan = changed(plan_of(sweep), more)
    sweep = replace(sweep, jobs=latest.jobs, numbers=latest.numbers, search=plan.model_dump())
    sweep.write()
    shared = opened(plan, sweep.folder)
    if set(sweep.numbers or []) - {trial.number for trial in shared.mine()}:
        raise UserError(
            f"{plan.storage or sweep.folder / STORAGE}: "
            f"it knows nothing of the trials in {sweep.folder}",
            "bring that file back; without it the search cannot go on",
        )
    shared.retry_failed()
    say(
        f"search of {plan.n_trials} trials, {len(shared.running()) + shared.lacking()} to do, "
        f"to {plan.direction} {plan.metric}: {sweep.folder}"
    )
    with launcher_of(sweep, more) as launcher:
        while batch := shared.claim():
            sweep = _run(sweep, shared, batch, launcher)
    return finish(sweep, shared)


def _run(sweep: Sweep, shared: Shared, batch: Sequence[Trial], launcher: Launcher) -> Sweep:
    """Run some trials and tell their results; returns the sweep with their jobs."""
    jobs = {t.number: [*shared.plan.job(shared.values(t)), *sweep.again] for t in batch}
    known = dict(zip(sweep.numbers or [], sweep.jobs, strict=True)) | jobs
    numbers = sorted(known.keys() - shared.retried())
    sweep = replace(sweep, numbers=numbers, jobs=[known[n] for n in numbers])
    sweep.write()
    for trial, value in zip(batch, run_jobs(launcher, sweep.folder, jobs), strict=True):
        _tell(shared, trial, sweep.folder / str(trial.number), value)
    return sweep


def _tell(shared: Shared, trial: Trial, folder: Path, value: float | None) -> None:
    """Tell Optuna how a job ended; what failed keeps its reason in the trial and in error.txt."""
    reason = failure_of(folder)
    if reason is None and value is not None and math.isfinite(value):
        pruned = shared.trials()[trial.number].user_attrs.get(PRUNED, False)
        state, values = (TrialState.PRUNED, None) if pruned else (TrialState.COMPLETE, value)
        shared.study.tell(trial, values, state)
        return
    if reason is None:
        metric = shared.plan.metric
        reason = f"{metric} became {value}" if value is not None else f"this job has no {metric}"
        write_atomically(folder / ERROR, f"{reason}\n".encode())
    trial.set_user_attr(FAILURE, reason)
    shared.study.tell(trial, state=TrialState.FAIL)
