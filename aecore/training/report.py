"""The printed output of a run, and its hyperparameters for loggers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aecore.config.schema import Config
from aecore.config.tree import leaves
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import COMMON, Reported, find_reported
from aecore.evaluation.trial import noun_of, scaled_note
from aecore.model.autoencoder import Autoencoder
from aecore.model.networks.base import Halving
from aecore.model.slots import MAIN
from aecore.runs.folder import numbered
from aecore.runs.text_table import table
from aecore.training.machine import device_of
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.resume import ResumePoint
from aecore.training.setup import Experiment, build_loggers
from aecore.training.timing import TIMING
from aecore.types import ImageShape, is_table

_BETTER = {True: "higher", False: "lower", None: ""}
_OTHERS = ("model", "dataset", "augment", "optimizer", "scheduler", "prior", "objective")


def announce(
    experiment: Experiment,
    model: Autoencoder,
    choices: Mapping[str, Any],
    folder: Path | None,
    checkpoint: ResumePoint | None,
    *,
    resumed: bool = False,
) -> str:
    """What is about to run: components, data, parameters, device, threads, epochs.

    choices: the option chosen of each config group. resumed: whether an earlier command began it.
    """
    config, data = experiment.config, experiment.data
    name = _option(choices.get("experiment") or choices["model"])
    components = " x ".join(_option(choices[group]) for group in MAIN)
    val = 0 if data.val is None else len(data.val)
    splits = f"{len(data.train):,} train, {val:,} val, {len(data.test):,} test"
    noun = noun_of(model.image_shape)
    noun += " with targets" if data.train.targets is not None else ""
    note = data.source.note and f" ({data.source.note})"
    classes = "" if model.classes is None else f", conditional on {model.classes} classes"
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    threads = f"{config.trainer.threads} thread{'' if config.trainer.threads == 1 else 's'}"
    lines = [
        f"{name} on {_option(choices['dataset'])}: {components}",
        f"  data     {splits} {noun} of {_size(model.image_shape)}{note}",
        f"  model    code of {_size(model.code_shape)}{classes}, {weights:,} parameters",
        f"  run      {device_of(config)}, {threads}, seed {config.seed}, "
        f"{_plan(experiment, checkpoint, resumed)}",
    ]
    lines += [] if folder is None else [f"  folder   {folder}"]
    if is_table(model.image_shape) and isinstance(model.network, Halving):
        columns = model.image_shape[2]
        lines.insert(2, f"  network  convolves along the {columns} columns, as along a series")
    if model.limits is not None:
        lines.insert(2, f"  range    {scaled_note(model.limits)}")
    return "\n".join(lines)


def _plan(experiment: Experiment, checkpoint: ResumePoint | None, resumed: bool) -> str:
    plan = "solved in closed form"
    if not isinstance(experiment.optimizer, ClosedForm):
        epochs = experiment.max_epochs
        steps = epochs * experiment.data.train_dataloader().steps
        plan = f"{epochs} epochs, batches of {experiment.data.batch_size}, {steps:,} steps"
        options = experiment.config.trainer
        if options.accumulate > 1:
            plan += f", {options.accumulate} to a step of the optimizer"
        if options.ema is not None:
            plan += f", evaluated with averaged weights (decay {options.ema})"
    if checkpoint is None:
        return f"{plan}, from the first (no checkpoint yet)" if resumed else plan
    within = f", within epoch {checkpoint.epochs + 1}" if checkpoint.within_epoch else ""
    return f"{plan}, continuing from {checkpoint.path} (step {checkpoint.step}{within})"


def _size(shape: Sequence[int]) -> str:
    return "x".join(str(n) for n in shape)


def summary(
    experiment: Experiment,
    image_shape: ImageShape,
    folder: Path,
    metrics: Mapping[str, float | None],
) -> str:
    """The table of metrics, the run folder and the commands that show what loggers wrote.

    image_shape: (C, H, W).
    """
    config = experiment.config
    lines = ["", metrics_table(metrics, image_shape, experiment.metrics.values())]
    lines += ["", f"run folder   {folder}"]
    if any((folder / "figures").glob("*.*")):
        lines.append(f"figures      {folder / 'figures'}")
    for logger in build_loggers(experiment, folder):
        commands = logger.commands(config.paths.output_dir)
        lines += [f"{name:<13}{command}" for name, command in commands]
    return "\n".join(lines)


def metrics_table(
    metrics: Mapping[str, float | None], shape: ImageShape, chosen: Iterable[Metric]
) -> str:
    """A line for each metric: its value, which side is better, its unit; series are only counted.

    shape: of the images, (C, H, W). chosen: the metrics beside those of every model.
    """
    rows, reports = [], {**COMMON, **TIMING}
    for metric in chosen:
        reports |= metric.reports
    series = Counter(name.rpartition("/")[0] for name in metrics if numbered(name))
    for name, value in metrics.items():
        if not numbered(name):
            reported = find_reported(reports, name.partition("/")[2]) or Reported()
            better = _BETTER[reported.higher_is_better]
            rows.append([name, _number(value), better, _unit(reported, shape)])
    counts = [(f"{name}/...", f"{n} numbers, in metrics.json") for name, n in series.items()]
    rows += [[name, "", "", count] for name, count in counts]
    return table(["metric", "value", "better", ""], rows)


def _number(value: float | None) -> str:
    if value is None:
        return "not finite"
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _unit(reported: Reported, shape: ImageShape) -> str:
    table_unit = reported.unit if reported.table_unit is None else reported.table_unit
    return table_unit if is_table(shape) else reported.unit


def one_line(metrics: Mapping[str, float | None]) -> str:
    """The first few metrics, for a job among others."""
    shown = [
        f"{k} {v:.4g}"
        for k, v in metrics.items()
        if v is not None and not k.endswith("/mean_image_mse")
    ]
    return ", ".join(shown[:3])


def hyperparameters(config: Config, choices: Mapping[str, Any]) -> dict[str, object]:
    """The options chosen and the values of their keys, flat, for a table of hyperparameters."""
    groups = (*MAIN, *_OTHERS)
    values: dict[str, object] = {g: _option(c) for g, c in choices.items() if g in groups}
    nodes = {group: getattr(config, group) for group in (*MAIN, "optimizer", "scheduler")}
    for group, node in {**nodes, "augment": config.augment.model_extra or {}}.items():
        keys = leaves(node, group)
        values |= {k: v for k, v in keys if not (k.endswith("_target_") or isinstance(v, Mapping))}
    values["conditional"] = config.conditional
    values["seed"] = config.seed
    values["batch_size"] = config.dataset["batch_size"]
    values["max_epochs"] = config.trainer.max_epochs
    return values


def _option(choice: Any) -> str:
    return "+".join(str(c) for c in choice) if isinstance(choice, list) else str(choice)
