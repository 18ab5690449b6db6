"""A run: prepare, fit, evaluate, draw figures, write.

metrics.json is written last, so a folder that has one holds a finished run. A run without it is
resumed from its last checkpoint, or with the evaluation where its training had ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback

from aecore.config.terminal import say
from aecore.errors import Interrupted, NonFiniteError, UserError
from aecore.evaluation.collapse import warn_if_collapsed, warn_of_collapse
from aecore.evaluation.evaluate import evaluate, validate
from aecore.evaluation.figures.draw import draw_figures
from aecore.model.autoencoder import Autoencoder
from aecore.runs import sampler_file
from aecore.runs.checkpoint import evaluated, load_weights
from aecore.runs.files import remove
from aecore.runs.folder import (
    METRICS,
    is_finished,
    is_run,
    note_redacted,
    read_history,
    read_metrics,
    write_config,
    write_history,
    write_metrics,
    write_run,
)
from aecore.runs.lock import writing
from aecore.runs.sweep import job_name, not_shared
from aecore.training.callbacks.progress import Progress
from aecore.training.fit import fit
from aecore.training.fit_sampler import add_sampler
from aecore.training.loggers.base import RunLogger, finalized_on_failure
from aecore.training.machine import set_up_machine
from aecore.training.prepare import prepare
from aecore.training.processes import is_leader
from aecore.training.report import announce, hyperparameters, one_line, summary
from aecore.training.resume import ResumePoint, resume_point
from aecore.training.setup import Experiment, build_loggers
from aecore.training.timing import timing
from aecore.training.trial import make_trial


def run(
    experiment: Experiment,
    make_folder: Callable[[], Path],
    *,
    choices: Mapping[str, Any],
    overrides: Sequence[str],
    resumed: bool = False,
    brief: bool = False,
    callbacks: Callable[[], Sequence[Callback]] = tuple,
) -> dict[str, float]:
    """Train and evaluate the model of an experiment; returns the metrics.

    make_folder: gives the run folder. It is called once everything was checked, so that a refused
        experiment leaves nothing on disk.
    choices: the option chosen of each config group. overrides: as they were typed.
    resumed: whether the folder holds this run already, which then continues.
    brief: whether to print one line at the start and one at the end, for a job among others.
    callbacks: gives further callbacks, see `fit`.

    Of several processes only the leader writes; the others return no metrics.
    Raises UserError before the folder is made, later NonFiniteError and Interrupted.
    """
    config = experiment.config
    set_up_machine(config)
    loggers = build_loggers(experiment, Path(os.devnull))  # UserError where an extra is missing
    model = prepare(experiment)
    if not is_leader():
        folder = make_folder() if resumed else None
        follow(experiment, model, _resume_point(experiment, model, folder), callbacks())
        return {}
    for logger in loggers:
        logger.check()

    # the jobs of a sweep wait until those of a leader that was killed have saved their state
    with writing(make_folder(), seconds=10 if brief else 1) as folder:
        if is_run(folder) and not resumed:
            raise UserError(f"{folder}: holds a run already", "give another folder")
        checkpoint = _resume_point(experiment, model, folder if resumed else None)
        if checkpoint is not None and checkpoint.history:
            write_history(folder, checkpoint.history)  # it may have been lost or damaged
        metrics = read_metrics(folder) if resumed and is_finished(folder) else None
        if metrics is None or not is_trained(experiment, checkpoint):
            for name in (METRICS, sampler_file.FILE):  # of weights that are about to change
                remove(folder / name)
            if not resumed:
                write_run(folder, choices, list(overrides))
            note_redacted(folder, experiment.secrets)
            write_config(folder, config.model_dump(exclude_unset=True))  # makes the folder a run
            if brief:
                say(f"{' '.join(not_shared(folder, overrides))} -> {job_name(folder)}")
            else:
                say(announce(experiment, model, choices, folder, checkpoint, resumed=resumed))
            purge_step = checkpoint.step + 1 if checkpoint else 0 if resumed else None
            loggers = build_loggers(experiment, folder, purge_step)
            with finalized_on_failure(loggers):
                for logger in loggers:
                    logger.hparams(hyperparameters(config, choices))
                progress = [Progress(brief), *callbacks()]
                train(experiment, model, folder, checkpoint, loggers, progress)
                metrics = _evaluated(experiment, model, folder)
                for logger in loggers:
                    logger.results(metrics)
                    logger.finalize("success")
            write_metrics(folder, metrics)

        say(one_line(metrics) if brief else summary(experiment, model.image_shape, folder, metrics))
        return metrics


def _resume_point(
    experiment: Experiment, model: Autoencoder, folder: Path | None
) -> ResumePoint | None:
    """Where the run of a folder continues, None for a new run."""
    return None if folder is None else resume_point(folder / "checkpoints", experiment, model)


def _evaluated(experiment: Experiment, model: Autoencoder, folder: Path) -> dict[str, float]:
    """The metrics of the trained model; its figures are drawn, too."""
    trial = make_trial(experiment, model, history=read_history(folder))
    metrics = evaluate(trial, metrics=experiment.metrics, noise=experiment.test_noise)
    if experiment.data.val is not None:
        metrics |= validate(make_trial(experiment, model, images=experiment.data.val, name="val"))
    warn_if_collapsed(trial)
    draw_figures(experiment.figures, trial, folder / "figures")
    return metrics | timing(trial.history)


def train(
    experiment: Experiment,
    model: Autoencoder,
    folder: Path,
    checkpoint: ResumePoint | None = None,
    loggers: Sequence[RunLogger] = (),
    callbacks: Sequence[Callback] = (),
) -> None:
    """Fit the model, or load the weights that are evaluated if it was fitted; fit its sampler."""
    if checkpoint is None:
        warn_of_collapse(model, experiment.data.train)
    if is_trained(experiment, checkpoint):
        load_weights(model, evaluated(folder, experiment.config))
    else:
        fit(experiment, model, folder, checkpoint, loggers, callbacks)
    add_sampler(experiment, model, folder)


def is_trained(experiment: Experiment, checkpoint: ResumePoint | None) -> bool:
    """Whether a checkpoint is that of a completed training."""
    return checkpoint is not None and checkpoint.is_complete(experiment.max_epochs)


def follow(
    experiment: Experiment,
    model: Autoencoder,
    checkpoint: ResumePoint | None,
    callbacks: Sequence[Callback],
) -> None:
    """Train along with the leader of several processes, writing nothing."""
    if not is_trained(experiment, checkpoint):
        with suppress(NonFiniteError, Interrupted):  # the leader meets and reports them too
            fit(experiment, model, Path(os.devnull), checkpoint, callbacks=callbacks)
