"""Descriptions of metrics: which direction is better, and which runs are comparable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from aecore.compare.runs import ComparedRun
from aecore.compare.values import frozen
from aecore.config.build import resolve
from aecore.errors import UserError
from aecore.evaluation.reported import COMMON, Reported, find_reported
from aecore.runs.folder import CONFIG
from aecore.runs.validation import check_targets
from aecore.training.timing import TIMING

Direction = Literal["lower", "higher", "none"]
Reports = Mapping[str, Reported]

_METRICS = "evaluate.metrics."


def reports_of(runs: Iterable[ComparedRun]) -> Reports:
    """The declarations of the metrics of the runs, by the key of a value.

    That a key has the same options of its metric is part of what makes it the same quantity.
    """
    reports = {**COMMON, **TIMING}
    for run in runs:
        for key, target in run.values.items():
            if key.startswith(_METRICS) and key.endswith("._target_"):
                path = key.removesuffix("._target_")
                reports |= {
                    name: reported._replace(depends_on=(*reported.depends_on, path))
                    for name, reported in _declared(run, path, target).items()
                }
    return reports


def _declared(run: ComparedRun, path: str, target: Any) -> Reports:
    """The declarations of a metric; none where its class is not known or not to be trusted."""
    from aecore.evaluation.metrics.base import Metric  # loads torch, which other tables need not

    node = {"_target_": target}
    try:
        check_targets({path: node}, run.folder / CONFIG)
        return resolve(node, path, Metric).reports
    except UserError:
        return {}


def reported(reports: Reports, metric: str) -> Reported:
    """The description of a metric such as `test/mse`, an empty one if unknown."""
    return find_reported(reports, metric.partition("/")[2]) or Reported()


def direction(reports: Reports, metric: str) -> Direction:
    """Which way a metric is better; none where that is unknown or not a matter of better."""
    ways: dict[bool | None, Direction] = {None: "none", True: "higher", False: "lower"}
    return ways[reported(reports, metric).higher_is_better]


def scope_of(run: ComparedRun, metric: str, reports: Reports) -> str:
    """Runs of one scope report the same quantity by that metric."""
    if metric.partition("/")[2] in TIMING:  # of the machine and the training, whatever the images
        return ""
    parts = [run.test_data, *_options(run, reported(reports, metric).depends_on)]
    if metric.startswith("val/"):  # fewer validation images are other ones
        parts += _options(run, ("dataset.val_size",))
    if metric.startswith("test_noisy/"):
        parts += _options(run, ("evaluate.noise",))
    return "\n".join(parts)


def _options(run: ComparedRun, keys: Sequence[str]) -> list[str]:
    """The choice and the options of each key, as text."""
    texts = []
    for key in keys:
        # the kind of a latent decides what is charged, its size does not
        ending = "_target_" if key == "latent" else ""
        inside = {
            k: v for k, v in run.values.items() if k.startswith(f"{key}.") and k.endswith(ending)
        }
        texts.append(frozen([run.values.get(key), inside]))
    return texts
