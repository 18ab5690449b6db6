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

from aecore.errors import Interrupted, NonFiniteError
from aecore.evaluation.collapse import warn_if_collapsed, warn_of_collapse
from aecore.evaluation.evaluate import evaluate, validate
from aecore.evaluation.figures.draw import draw_figures
from aecore.model.autoencoder import Autoencoder
from aecore.runs import sampler_file
from aecore.runs.checkpoint import evaluated, load_weights
from aecore.runs.folder import (
    METRICS,
    is_finished,
    read_history,
    read_metrics,
    write_config,
    write_history,
    write_metrics,
    write_run,
)
from aecore.runs.sweep import job_name
from aecore.training.callbacks.progress import Progress
from aecore.training.fit import fit
from aecore.training.fit_sampler import add_sampler
from aecore.training.loggers.base import RunLogger, finalized_on_failure
from aecore.training.machine import set_up_machine
from aecore.training.optimizers.closed_form import ClosedForm
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
    loggers = build_loggers(config, Path(os.devnull))  # UserError where an extra is missing
    model = prepare(experiment)
    if not is_leader():
        checkpoint = (
            resume_point(make_folder() / "checkpoints", experiment, model) if resumed else None
        )
        follow(experiment, model, checkpoint, callbacks())
        return {}
    for logger in loggers:
        logger.check()

    folder = make_folder()
    checkpoint = resume_point(folder / "checkpoints", experiment, model) if resumed else None
    if checkpoint is not None and checkpoint.history:
        write_history(folder, checkpoint.history)  # it may have been lost or damaged
    metrics = read_metrics(folder) if resumed and is_finished(folder) else None
    if metrics is None or not is_trained(experiment, checkpoint):
        for name in (METRICS, sampler_file.FILE):  # of weights that are about to change
            (folder / name).unlink(missing_ok=True)
        if not resumed:
            write_run(folder, choices, list(overrides))
        write_config(folder, config.model_dump(exclude_unset=True))  # makes the folder a run
        if brief:
            print(f"job {job_name(folder)}: {' '.join(overrides)}", flush=True)
        else:
            about = announce(experiment, model, choices, folder, checkpoint, resumed=resumed)
            print(about, flush=True)

        purge_step = None if checkpoint is None else checkpoint.step + 1
        loggers = build_loggers(config, folder, purge_step)
        with finalized_on_failure(loggers):
            if not is_trained(experiment, checkpoint):
                for logger in loggers:
                    logger.hparams(hyperparameters(config, choices))
            train(experiment, model, folder, checkpoint, loggers, [Progress(brief), *callbacks()])
            trial = make_trial(experiment, model, history=read_history(folder))
            metrics = evaluate(trial, metrics=experiment.metrics, noise=experiment.test_noise)
            if experiment.data.val is not None:
                metrics |= validate(
                    make_trial(experiment, model, images=experiment.data.val, name="val")
                )
            metrics |= timing(trial.history)
            warn_if_collapsed(trial)
            draw_figures(experiment.figures, trial, folder / "figures")
            for logger in loggers:
                logger.results(metrics)
                logger.finalize("success")
        write_metrics(folder, metrics)

    if brief:
        print(one_line(metrics), flush=True)
    else:
        print(summary(experiment, model.image_shape, folder, metrics), flush=True)
    return metrics


def train(
    experiment: Experiment,
    model: Autoencoder,
    folder: Path,
    checkpoint: ResumePoint | None = None,
    loggers: Sequence[RunLogger] = (),
    callbacks: Sequence[Callback] = (),
) -> None:
    """Fit the model, load the weights that are evaluated (`evaluate.weights`), fit its sampler."""
    if checkpoint is None:
        warn_of_collapse(model, experiment.data.train)
    if not is_trained(experiment, checkpoint):
        fit(experiment, model, folder, checkpoint, loggers, callbacks)
    load_weights(model, evaluated(folder, experiment.config))
    add_sampler(experiment, model, folder)


def is_trained(experiment: Experiment, checkpoint: ResumePoint | None) -> bool:
    """Whether a checkpoint is that of a completed training."""
    if checkpoint is None:
        return False
    solved = isinstance(experiment.optimizer, ClosedForm)
    return solved or checkpoint.is_complete(experiment.max_epochs)


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
