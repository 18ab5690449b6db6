"""Runs that differ only by their seed as one group; means, deviations and who is best."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aecore.compare.metrics import Direction, Reports, direction, reports_of, scope_of
from aecore.compare.runs import ComparedRun
from aecore.compare.values import frozen, is_number
from aecore.compare.vary import identity, varied
from aecore.runs.folder import numbered

# the metrics of every model first; losses and their terms last, which are of one objective
_FIRST = (
    "val/loss",
    "val/mse",
    "test/mse",
    "test/psnr",
    "test/ssim",
    "test/elbo",
    "test_noisy/mse",
)
_LAST = ("kl", "loss", "reconstruction", "input_mse")


@dataclass(frozen=True)
class Stat:
    """A metric over the seeds of a group.

    n: finite values. mean: None where n is 0. std: the sample deviation, None where n is below 2.
    best: whether no comparable group is better, by the same metric of the validation images.
    """

    n: int
    mean: float | None
    std: float | None
    best: bool = False


@dataclass(frozen=True)
class Group:
    """Runs with the same values of the varied keys; `stats` covers the finished ones."""

    values: Mapping[str, Any]
    runs: tuple[ComparedRun, ...]
    stats: Mapping[str, Stat]

    @property
    def finished(self) -> int:
        """How many of its runs finished."""
        return sum(run.state == "finished" for run in self.runs)


@dataclass(frozen=True)
class Table:
    """The comparison in numbers.

    keys: the varied ones. metrics: those of a finished run, in order of interest.
    reports: descriptions of the metrics.
    """

    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    runs: tuple[ComparedRun, ...]
    groups: tuple[Group, ...]
    reports: Reports

    def direction(self, metric: str) -> Direction:
        """Which way a metric is better."""
        return direction(self.reports, metric)

    @property
    def averaged(self) -> bool:
        """Whether some group holds several finished runs."""
        return any(group.finished > 1 for group in self.groups)


def summarise(runs: Sequence[ComparedRun]) -> Table:
    """Group runs by the keys in which they differ, the seed aside."""
    keys = tuple(varied(runs))
    metrics, reports = _metrics(runs), reports_of(runs)
    members: dict[tuple[str, ...], list[ComparedRun]] = {}
    for run in runs:
        members.setdefault(identity(run, keys), []).append(run)
    groups = [
        Group(
            {key: alike[0].values[key] for key in keys if key in alike[0].values},
            tuple(alike),
            {metric: _stat(alike, metric) for metric in metrics},
        )
        for alike in members.values()
    ]
    groups = _sorted(groups, keys)
    best = {metric: _best(groups, judge_of(metric), reports) for metric in metrics}
    marked = tuple(
        replace(g, stats={m: replace(s, best=n in best[m]) for m, s in g.stats.items()})
        for n, g in enumerate(groups)
    )
    return Table(keys, metrics, tuple(runs), marked, reports)


def judge_of(metric: str) -> str:
    """The metric by which groups are ranked: test images only report what others have chosen."""
    split, slash, key = metric.partition("/")
    return f"val/{key}" if split.startswith("test") and slash else metric


def _metrics(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """In order of importance, then of appearance; without members of a series."""

    def rank(name: str) -> tuple[int, bool, int]:
        first = _FIRST.index(name) if name in _FIRST else len(_FIRST)
        tail = name.rpartition("/")[2]
        return first, not name.startswith("test"), _LAST.index(tail) if tail in _LAST else -1

    recorded = (name for run in runs for name in run.metrics or ())
    names = dict.fromkeys(name for name in recorded if not numbered(name))
    return tuple(sorted(names, key=rank))


def _stat(runs: Sequence[ComparedRun], metric: str) -> Stat:
    measured = [(run.metrics or {}).get(metric) for run in runs]
    values = [value for value in measured if value is not None]
    return Stat(
        n=len(values),
        mean=statistics.fmean(values) if values else None,
        std=statistics.stdev(values) if len(values) > 1 else None,
    )


def _sorted(groups: Sequence[Group], keys: Sequence[str]) -> list[Group]:
    """Numbers ascending, other values in order of their first run."""
    order: dict[str, int] = {}

    def place(group: Group) -> list[tuple[int, float]]:
        values = [group.values.get(key) for key in keys]
        return [(0, v) if is_number(v) else (1, order[frozen(v)]) for v in values]

    for group in groups:
        for key in keys:
            order.setdefault(frozen(group.values.get(key)), len(order))
    return sorted(groups, key=place)


def _best(groups: Sequence[Group], metric: str, reports: Reports) -> set[int]:
    """Positions of the best group of each scope that holds at least two of them.

    None where the metric was not measured.
    """
    way = direction(reports, metric)
    scopes: dict[str, dict[int, float]] = {}
    for n, group in enumerate(groups):
        mean = group.stats[metric].mean if metric in group.stats else None
        if mean is not None and way != "none":
            finished = next(run for run in group.runs if run.state == "finished")
            scope = scopes.setdefault(scope_of(finished, metric, reports), {})
            scope[n] = mean if way == "lower" else -mean
    best: set[int] = set()
    for means in scopes.values():
        top = min(means.values())
        if top < max(means.values()):
            best |= {n for n, mean in means.items() if mean == top}
    return best
