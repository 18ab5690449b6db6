"""What a training run says on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import COMMON, Reported, find_reported
from aecore.model.autoencoder import Autoencoder
from aecore.runs.folder import numbered
from aecore.runs.text_table import table
from aecore.tasks.base import Request
from aecore.training.loggers.base import RunLogger
from aecore.training.machine import device_of
from aecore.training.module import PART
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.setup import Experiment
from aecore.training.timing import TIMING
from aecore.types import ImageShape, is_table

_SENTENCE = ("network", "latent", "noise", "penalty", "reconstruction")


def announce(
    request: Request,
    parts: Experiment,
    model: Autoencoder,
    folder: Path,
    found: tuple[Path, dict[str, Any]] | None,
) -> str:
    """Which experiment this is: words, data, parameters, device, threads, epochs."""
    words, data, options = request.words, parts.data, parts.settings.trainer
    sentence = " x ".join(_word(words[slot]) for slot in _SENTENCE)
    val = 0 if data.val is None else len(data.val)
    shape = "x".join(str(n) for n in model.image_shape)
    code = "x".join(str(n) for n in model.code_shape)
    told = "" if model.classes is None else f", told {model.classes} classes"
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    plan = "solved exactly"
    if not isinstance(parts.optimizer, ClosedForm):
        plan = f"{options.max_epochs} epochs, batches of {data.batch_size}"
    if found is not None:
        within = f", within epoch {found[1]['epoch'] + 1}" if PART in found[1] else ""
        plan += f", going on from {found[0]} (step {found[1]['step']}{within})"
    splits = f"{len(data.train):,} train, {val:,} val, {len(data.test):,} test"
    what = "rows" if is_table(model.image_shape) else "images"
    device, seed = device_of(parts.settings), parts.settings.seed
    name = _word(words.get("experiment") or words["model"])
    lines = [
        f"{name} on {_word(words['dataset'])}: {sentence}",
        f"  data     {splits} {what} of {shape}",
        f"  model    code of {code}{told}, {weights:,} parameters",
        f"  run      {device}, {_threads(request)}, seed {seed}, {plan}",
        f"  folder   {folder}",
    ]
    return "\n".join(lines)


def _threads(request: Request) -> str:
    """`2 threads`, as the run has set them."""
    threads = request.config["trainer"]["threads"]
    return f"{threads} thread{'' if threads == 1 else 's'}"


def summary(
    metrics: Mapping[str, float | None],
    shape: ImageShape,
    folder: Path,
    output_dir: str,
    loggers: Sequence[RunLogger],
    chosen: Iterable[Metric],
) -> str:
    """The table of metrics, where the run lies and how to look at it.

    shape: of the images, (C, H, W). chosen: the metrics beside those of every model.
    """
    lines = ["", metrics_table(metrics, shape, chosen), "", f"run folder   {folder}"]
    if any((folder / "figures").glob("*.*")):
        lines.append(f"figures      {folder / 'figures'}")
    for logger in loggers:
        lines += [f"{name:<13}{command}" for name, command in logger.looks(output_dir)]
    return "\n".join(lines)


def metrics_table(
    metrics: Mapping[str, float | None], shape: ImageShape, chosen: Iterable[Metric]
) -> str:
    """A line for each metric, with its unit; series of numbers are only counted.

    shape: of the images, (C, H, W). chosen: the metrics beside those of every model.
    """
    rows, reports = [], {**COMMON, **TIMING}
    for metric in chosen:
        reports |= metric.reports
    series = Counter(name.rpartition("/")[0] for name in metrics if numbered(name))
    for name, value in metrics.items():
        if numbered(name):
            continue
        shown = (
            "not finite"
            if value is None
            else f"{value:,.5g}"
            if abs(value) < 1e5
            else f"{value:,.0f}"
        )
        rows.append([name, shown, _unit(find_reported(reports, name.partition("/")[2]), shape)])
    rows += [[f"{name}/...", "", f"{n} numbers, in metrics.json"] for name, n in series.items()]
    return table(["metric", "value", ""], rows)


def _unit(reported: Reported | None, shape: ImageShape) -> str:
    if reported is None:
        return ""
    table_unit = reported.unit if reported.table_unit is None else reported.table_unit
    return table_unit if is_table(shape) else reported.unit


def one_line(metrics: Mapping[str, float | None]) -> str:
    """The first few metrics, for a job among others."""
    shown = [f"{k} {v:.4g}" for k, v in metrics.items() if v is not None]
    return f"  {', '.join(shown[:4])}"


def flat_parameters(request: Request) -> dict[str, object]:
    """The words chosen and every value of theirs, flat, for the table of hyperparameters."""
    flat: dict[str, object] = {
        name: _word(choice)
        for name, choice in request.words.items()
        if name in (*_SENTENCE, "model", "dataset", "optimizer", "scheduler", "prior", "objective")
    }
    for group in (*_SENTENCE, "optimizer", "scheduler"):
        _flatten(request.config[group], group, flat)
    flat["conditional"] = request.config.get("conditional", False)
    flat["seed"] = request.config["seed"]
    flat["batch_size"] = request.config["dataset"]["batch_size"]
    flat["max_epochs"] = request.config["trainer"]["max_epochs"]
    return flat


def _flatten(node: Mapping[str, Any], path: str, into: dict[str, object]) -> None:
    for key, value in node.items():
        if isinstance(value, Mapping):
            _flatten(value, f"{path}.{key}", into)
        elif key != "_target_":
            into[f"{path}.{key}"] = value


def _word(choice: Any) -> str:
    return "+".join(str(c) for c in choice) if isinstance(choice, list) else str(choice)
