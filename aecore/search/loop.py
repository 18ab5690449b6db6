"""Ask for a batch of trials, launch them, tell what they reached; until there are enough."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from optuna import Trial
from optuna.trial import TrialState

from aecore import compose
from aecore.callbacks.pruning import PRUNED
from aecore.choices import split_override
from aecore.errors import UserError
from aecore.results import METRICS, write_atomically
from aecore.search.plan import plan_of, settings_of
from aecore.search.report import finish
from aecore.search.study import Shared, opened
from aecore.sweep import ERROR, Sweep, read


def search(sweep: Sweep, more: list[str]) -> int:
    """Run or continue a recorded search; returns the exit status, 1 where a trial failed.

    more: further overrides of Hydra's own: another launcher, other n_trials or n_jobs.
    """
    from aecore.tasks.run import run_job

    plan = plan_of(sweep)
    arguments = compose.Arguments(
        sweep.flags, sweep.overrides + more, multirun=True, informational=False
    )
    changed = {split_override(o)[0].rpartition(".")[2] for o in more if "hydra.sweeper." in o}
    if changed:
        settings = settings_of(arguments, arguments.overrides)
        plan = plan.model_copy(update=settings.model_dump(include=changed))
    here = [f"hydra.sweep.dir={compose.quoted(str(sweep.folder))}", "hydra.mode=MULTIRUN"]
    try:
        with FileLock(sweep.folder / ".lock", blocking=False), compose.opened(arguments) as hydra:
            sweep = replace(sweep, search=plan.model_dump())
            sweep.write()
            config = hydra.compose_config(
                arguments.config_name, [*arguments.overrides, *here], run_mode=RunMode.MULTIRUN
            )
            sweeper = Plugins.instance().instantiate_sweeper(
                hydra_context=HydraContext(
                    config_loader=hydra.config_loader, callbacks=Callbacks(config)
                ),
                task_function=run_job,
                config=config,
            )
            sweeper.sweep([])
    except Timeout:
        raise UserError(
            f"{sweep.folder}: another process is at this search\n"
            "  for a second worker start another search with the same hydra.sweeper.storage\n"
            "  and hydra.sweeper.study_name"
        ) from None
    return finish(sweep.folder)


def run_trials(folder: Path, launcher: Launcher) -> None:
    """Launch what the recorded search in a folder still lacks."""
    sweep = read(folder)
    assert sweep is not None
    plan = plan_of(sweep)
    shared = opened(folder, plan)
    waiting = shared.unfinished()
    lacking = len(waiting) + max(0, plan.n_trials - len(shared.trials()))
    print(
        f"search of {plan.n_trials} trials, {lacking} to do, to {plan.direction} {plan.metric}: "
        f"{folder}",
        flush=True,
    )
    while batch := _batch(shared, waiting):
        jobs = {trial.number: plan.job(shared.values(trial)) for trial in batch}
        known = dict(zip(sweep.numbers or [], sweep.jobs, strict=True)) | jobs
        sweep = replace(sweep, numbers=sorted(known), jobs=[known[n] for n in sorted(known)])
        sweep.write()
        for trial, result in _launched(sweep, batch, jobs, launcher):
            _tell(shared, trial, folder / str(trial.number), result)


def _batch(shared: Shared, waiting: list[Trial]) -> list[Trial]:
    """The next trials, interrupted ones first; takes them out of `waiting`."""
    batch: list[Trial] = []
    while len(batch) < shared.plan.n_jobs:
        trial = waiting.pop(0) if waiting else shared.next()
        if trial is None:
            break
        batch.append(trial)
    return batch


def _launched(
    sweep: Sweep, batch: list[Trial], jobs: dict[int, list[str]], launcher: Launcher
) -> list[tuple[Trial, JobReturn | None]]:
    """The trials with what the launcher made of them, None where they cannot even be composed."""
    good = [trial for trial in batch if _composes(sweep, trial.number, jobs[trial.number])]
    returns = launcher.launch(
        [[*jobs[t.number], f"hydra.sweep.subdir='{t.number}'"] for t in good],
        initial_job_idx=good[0].number,
    ) if good else []  # fmt: skip
    found = dict(zip((trial.number for trial in good), returns, strict=True))
    return [(trial, found.get(trial.number)) for trial in batch]


def _composes(sweep: Sweep, number: int, job: list[str]) -> bool:
    """Whether Hydra can compose a job; what is wrong goes into the job's folder.

    Words that fit alone need not fit together, and a launcher would end at the first misfit.
    """
    hydras = [o for o in sweep.overrides if o.startswith("hydra")]
    try:
        compose.compose(
            compose.Arguments(sweep.flags, [*hydras, *job], multirun=False, informational=False)
        )
    except UserError as error:
        folder = sweep.folder / str(number)
        folder.mkdir(exist_ok=True)
        write_atomically(folder / ERROR, f"{error}\n".encode())
        return False
    return True


def _tell(shared: Shared, trial: Trial, folder: Path, result: JobReturn | None) -> None:
    """Tell Optuna how a job ended."""
    value: Any = None
    reason = "it left no result"
    try:
        value = None if result is None else result.return_value
    except Exception as error:  # what a launcher passes on
        reason = f"{type(error).__name__}: {error}"
    error_file = folder / ERROR
    if error_file.is_file():
        reason = error_file.read_text(errors="replace").partition("\n")[0]
        value = None
    elif value is None and (folder / METRICS).is_file():
        reason = f"optimized_metric={shared.plan.metric}: this job has no such metric"
    if isinstance(value, float | int) and math.isfinite(value):
        cut = shared.trials()[trial.number].user_attrs.get(PRUNED, False)
        if cut:
            shared.study.tell(trial, state=TrialState.PRUNED)
        else:
            shared.study.tell(trial, float(value))
        return
    if isinstance(value, float | int):
        reason = f"{shared.plan.metric} became {value}"
    if not error_file.is_file():
        folder.mkdir(exist_ok=True)
        write_atomically(error_file, f"{reason}\n".encode())
    shared.fail(trial, reason)
