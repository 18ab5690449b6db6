"""`task=train`: train, measure, picture."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from aecore.config.component import component
from aecore.errors import Interrupted, NonFiniteLoss
from aecore.evaluation.collapse import warn_if_collapsed, warn_of_collapse
from aecore.evaluation.evaluate import evaluate
from aecore.evaluation.figures.draw import draw_figures
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import evaluated, load_weights
from aecore.runs.folder import (
    METRICS,
    read_history,
    read_metrics,
    write_config,
    write_metrics,
    write_run,
)
from aecore.runs.open import open_run
from aecore.runs.sampler_file import FILE as SAMPLER
from aecore.tasks.base import Request, Task
from aecore.training.callbacks.checkpoint import latest_good
from aecore.training.fit import fit, is_complete
from aecore.training.fit_sampler import add_sampler
from aecore.training.loggers.base import recording
from aecore.training.machine import check_device, set_threads
from aecore.training.prepare import check_unused, prepare
from aecore.training.processes import check_processes, is_leader
from aecore.training.report import announce, flat_parameters, one_line, summary
from aecore.training.setup import Experiment, build_experiment, build_logger, check_logger
from aecore.training.timing import timing
from aecore.training.trial import make_trial
from aecore.types import ImageShape

log = logging.getLogger("aecore")


class Train(Task):
    """Trains a model, measures it on the test split, draws its figures, writes the run folder.

    metrics.json is written last, so a folder that has one is finished; until then `resume`
    goes on from the last checkpoint, or from there to the evaluation.
    """

    @component
    def __init__(self) -> None: ...

    def __call__(self, request: Request) -> dict[str, float]:
        config = request.config
        parts = build_experiment(config)
        check_device(parts.settings)
        check_logger(parts.settings)
        if not (request.resumed or request.brief):  # else it was asked when that began
            check_unused(parts.settings)
        options = parts.settings.trainer
        check_processes(options.devices, options.num_nodes)
        options.threads = set_threads(options.threads, options.devices)
        config["trainer"]["threads"] = options.threads
        model = prepare(parts)
        init_from = parts.settings.init_from
        if init_from is not None:
            load_weights(model, open_run(init_from).checkpoint("last"))
        if not is_leader():
            return follow(parts, model, request)
        for logger in build_logger(parts.settings, Path(os.devnull), None):
            logger.check()
        folder = request.folder()
        found = latest_good(folder / "checkpoints") if request.resumed else None
        done = read_metrics(folder) if request.resumed else None
        if done is not None and found is not None and is_complete(parts.settings, found[1]):
            print(self._told(request, parts, model.image_shape, done, folder))
            return done
        for name in (METRICS, SAMPLER):  # of weights that will be others
            (folder / name).unlink(missing_ok=True)
        if not request.resumed:
            write_run(folder, request.words, request.overrides)
        write_config(folder, config)  # last: it is what makes the folder a run
        if request.brief:
            print(f"job {folder.name}: {' '.join(request.overrides)}", flush=True)
        else:
            print(announce(request, parts, model, folder, found), flush=True)
        metrics = self._run(parts, model, folder, found, request)
        print(self._told(request, parts, model.image_shape, metrics, folder), flush=True)
        return metrics

    def _told(
        self,
        request: Request,
        parts: Experiment,
        shape: ImageShape,
        metrics: dict[str, float],
        folder: Path,
    ) -> str:
        if request.brief:
            return one_line(metrics)
        output_dir = request.config["paths"]["output_dir"]
        loggers = build_logger(parts.settings, folder, None)
        return summary(metrics, shape, folder, output_dir, loggers, parts.metrics.values())

    def _run(
        self,
        parts: Experiment,
        model: Autoencoder,
        folder: Path,
        found: tuple[Path, dict[str, Any]] | None,
        request: Request,
    ) -> dict[str, float]:
        settings = parts.settings
        # events after the checkpoint's step are written again, its own are not
        loggers = build_logger(settings, folder, None if found is None else found[1]["step"] + 1)
        with recording(loggers):
            if found is None:
                warn_of_collapse(model, parts.data.train)
            if found is None or not is_complete(settings, found[1]):
                for logger in loggers:
                    logger.hparams(flat_parameters(request))
                fit(parts, model, folder, found, loggers, brief=request.brief)
            load_weights(model, evaluated(folder, settings))
            add_sampler(parts, model, folder)
            history = read_history(folder)
            trial = make_trial(parts, model, history=history)
            metrics = evaluate(trial, metrics=parts.metrics, noise=parts.test_noise)
            metrics |= timing(history)
            warn_if_collapsed(trial)
            draw_figures(parts.figures, trial, folder / "figures")
            for logger in loggers:
                logger.results(metrics)
                logger.finalize("success")
        write_metrics(folder, metrics)
        return metrics


def follow(parts: Experiment, model: Autoencoder, request: Request) -> dict[str, float]:
    """Train along with the leader of several processes, writing nothing; returns no metrics."""
    found = latest_good(request.folder() / "checkpoints") if request.resumed else None
    if found is None or not is_complete(parts.settings, found[1]):
        with suppress(NonFiniteLoss, Interrupted):  # which the leader meets too, and tells
            fit(parts, model, Path(os.devnull), found, [], brief=True)
    return {}
