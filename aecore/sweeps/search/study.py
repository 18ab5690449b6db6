"""The Optuna study behind a search: its storage, and which trial belongs to which worker.

Several workers, each with a folder of its own, may share a study. A trial carries the mark of the
worker that claimed it (`OWNER`), so that a killed worker finds its own again.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import make_url

from aecore.errors import UserError
from aecore.runs.files import checked
from aecore.runs.format import check_format, stamp
from aecore.sweeps.search.settings import SearchPlan

STORAGE = "study.db"  # in the folder of the search, where no other was given
OWNER, FAILURE, METRIC = "owner", "error", "metric"  # attributes of trials and of the study
RETRIED = "retried"  # of a trial: the number of the failed one whose values it tries again
_RECORD = "aecore"  # the attribute of the study that holds its format and version
_SQLITE_WAIT = 60  # seconds for which a writer waits for the others

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Shared:
    """A study in its storage, seen by one worker."""

    plan: SearchPlan
    study: optuna.Study
    storage: RDBStorage
    file: Path | None  # of a database that is a file

    def claim(self) -> list[Trial]:
        """The next trials of this worker, at most `n_jobs`: interrupted ones, then new ones.

        Empty where the study has as many as it should. With a database that is a file that number
        is exact; with others, workers that ask at the same moment may exceed it.
        """
        while len(self.running()) < self.plan.n_jobs:
            with locked(self.file):
                if not self.lacking():
                    break
                self._add()
        return [self.trial(number) for number in self.running()[: self.plan.n_jobs]]

    def running(self) -> list[int]:
        """The trials of this worker that have not ended; one that was killed continues them."""
        return [t.number for t in self.mine() if t.state == TrialState.RUNNING]

    def lacking(self) -> int:
        """Trials that nobody has claimed yet; one that is tried again counts once."""
        return max(0, self.plan.n_trials - len(self.trials()) + len(self.retried()))

    def retry_failed(self) -> None:
        """Claim the failed trials of this worker with their values; each gets a new number."""
        for trial in self.mine():
            if trial.state == TrialState.FAIL and trial.number not in self.retried():
                self._add(trial.params, trial.distributions, retried=trial.number)

    def retried(self) -> set[int]:
        """The numbers of failed trials that are tried again by others."""
        return {t.user_attrs[RETRIED] for t in self.trials() if RETRIED in t.user_attrs}

    def _add(
        self,
        params: dict[str, Any] | None = None,
        distributions: dict[str, BaseDistribution] | None = None,
        **attributes: int,
    ) -> None:
        """Add a trial of this worker, as one operation of the database."""
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=params,
                distributions=distributions,
                user_attrs={OWNER: self.plan.owner, **attributes},
            )
        )

    def values(self, trial: Trial) -> dict[str, Any]:
        """The values of a trial, drawn where it has not got them all yet.

        They depend on the sampler's seed, the trial's number and what was reached before: a
        search that was interrupted draws the same as one that was not.
        """
        self.study.sampler = sampler(self.plan, trial.number)
        for name, d in self.plan.distributions.items():
            if isinstance(d, FloatDistribution):
                trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
            elif isinstance(d, IntDistribution):
                trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
            elif isinstance(d, CategoricalDistribution):
                trial.suggest_categorical(name, d.choices)
        return {name: trial.params[name] for name in self.plan.distributions}

    def trials(self) -> list[FrozenTrial]:
        """Every trial of the study, by its number."""
        return self.study.get_trials(deepcopy=False)

    def mine(self) -> list[FrozenTrial]:
        """The trials of this worker."""
        return [t for t in self.trials() if t.user_attrs.get(OWNER) == self.plan.owner]

    def trial(self, number: int) -> Trial:
        """A trial, to report to."""
        study_id = self.storage.get_study_id_from_name(self.study.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
        return Trial(self.study, trial_id)


def opened(plan: SearchPlan, folder: Path = Path()) -> Shared:
    """The study of a plan, made where it is not there yet; `folder`: that of the search.

    Raises UserError for a storage that cannot be opened or holds another study of that name.
    """
    url = plan.storage or f"sqlite:///{checked(folder / STORAGE).absolute()}"
    try:
        parsed = make_url(url)
        local = parsed.get_backend_name() == "sqlite"
        file = Path(parsed.database or ":memory:") if local else None
        if file is not None and not file.absolute().parent.is_dir():
            raise FileNotFoundError(f"{file.absolute().parent} is no folder")
        if file is not None and file.name == ":memory:":
            raise FileNotFoundError("jobs cannot see the memory of another process")
        with locked(file):
            _check_whole(file)
            storage = RDBStorage(
                url, engine_kwargs={"connect_args": {"timeout": _SQLITE_WAIT}} if local else None
            )
            study = optuna.create_study(
                storage=storage,
                study_name=plan.study_name,
                direction=plan.direction,
                load_if_exists=True,
                pruner=_pruner(plan),
            )
            _check(study, plan)
    except UserError:
        raise
    except Exception as error:  # SQLAlchemy and Optuna raise many kinds on what is damaged
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"hydra.sweeper.storage={url}: cannot be used", first) from error
    return Shared(plan, study, storage, file)


def locked(file: Path | None) -> AbstractContextManager[Any]:
    """Only one process at a time, where the database is a file."""
    return nullcontext() if file is None else FileLock(checked(Path(f"{file}.lock")))


def sampler(plan: SearchPlan, number: int) -> optuna.samplers.BaseSampler:
    """A sampler whose draws are those of that trial alone."""
    seed = int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0])
    if plan.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: SearchPlan) -> optuna.pruners.BasePruner:
    if plan.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_warmup_steps=plan.warmup)


def _check_whole(file: Path | None) -> None:
    """Raise an error of SQLite, or ValueError, for a database that is a damaged file."""
    if file is None or not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=_SQLITE_WAIT)) as database:
        (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise ValueError(f"it is damaged ({answer})")


def _check(study: optuna.Study, plan: SearchPlan) -> None:
    """Raise UserError where a study of that name searches for something else.

    ValueError where its trials are not numbered from 0 or have other attributes than ours.
    """
    trials = study.get_trials(deepcopy=False)
    for number, trial in enumerate(trials):
        owner, retried = (trial.user_attrs.get(key) for key in (OWNER, RETRIED))
        known = isinstance(owner, str | None) and isinstance(retried, int | None)
        if trial.number != number or not known:
            raise ValueError(f"trial {number} is damaged")
    name = f"hydra.sweeper.study_name={plan.study_name}"
    metric = study.user_attrs.get(METRIC)
    if metric is not None:
        check_format(study.user_attrs.get(_RECORD, {}), Path(name), "give another study_name")
    if metric is None:
        study.set_user_attr(METRIC, plan.metric)
        study.set_user_attr(_RECORD, stamp())
    elif metric != plan.metric:
        raise UserError(f"{name}: that study optimizes {metric}, not {plan.metric}")
    if study.direction.name.lower() != plan.direction:
        raise UserError(f"{name}: that study is to {study.direction.name.lower()} {plan.metric}")
    space = plan.distributions
    tried = [(key, d) for t in trials for key, d in t.distributions.items() if key in space]
    for key, theirs in tried:
        try:
            check_distribution_compatibility(theirs, space[key])
        except ValueError as error:
            raise UserError(
                f"{name}: that study searches {key} in another space, {theirs}",
                "give the same space, or another study_name",
            ) from error
