"""The report of a search: the best trials, a command for the best, parameter importances."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from aecore.config.folders import command
from aecore.config.overrides import read as read_overrides
from aecore.config.terminal import say, show
from aecore.runs.files import replacing
from aecore.runs.sweep import Sweep, read_sweep
from aecore.runs.text_table import table
from aecore.sweeps.comparison import compare_sweep
from aecore.sweeps.search.settings import SearchPlan, plan_of
from aecore.sweeps.search.space import overrides_of
from aecore.sweeps.search.study import Shared, opened

IMPORTANCE, TRIALS = "importance.png", "trials.png"
_SHOWN = 5
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "still running",
}


def finish(folder: Path, again: Sequence[str]) -> int:
    """Compare the jobs, draw and print; returns 1 where a trial of this worker failed, else 0.

    again: overrides of every job that are not recorded.
    """
    sweep = read_sweep(folder)
    assert sweep is not None
    plan = plan_of(sweep)
    shared = opened(folder, plan)
    figures = draw(shared, folder)
    summary = compare_sweep(sweep, extra=figures)
    show(summary.text)
    say(f"\n{search_text(shared, sweep, again)}\n\nreport  {summary.report}")
    failed = {trial.number for trial in shared.mine() if trial.state == TrialState.FAIL}
    return int(bool(failed - shared.retried()))


def search_text(shared: Shared, sweep: Sweep, again: Sequence[str]) -> str:
    """How many trials ended how, the best of them, and the command that runs the best.

    again: see `finish`.
    """
    plan, retried = shared.plan, shared.retried()
    trials = [trial for trial in shared.trials() if trial.number not in retried]
    counts = [
        f"{found} {name}"
        for state, name in _STATES.items()
        if (found := sum(trial.state == state for trial in trials))
    ]
    lines = [f"{len(trials)} trials: {', '.join(counts)}"]
    pruned = [str(trial.number) for trial in trials if trial.state == TrialState.PRUNED]
    if pruned:
        lines.append(f"pruned, so their metrics are those of fewer epochs: {', '.join(pruned)}")
    best = ranked(trials, plan)
    if not best:
        return "\n".join(lines)
    keys = list(plan.space)
    rows = [
        [str(t.number), f"{t.value:.6g}", *(_shown(t.params.get(key)) for key in keys)]
        for t in best[:_SHOWN]
    ]
    overrides = [*_alone(plan, again), *overrides_of(best[0].params)]
    return "\n".join(
        [
            *lines,
            "",
            table(["trial", plan.metric, *keys], rows),
            "",
            f"run the best: {command()} {shlex.join([*sweep.flags, *overrides])}",
        ]
    )


def ranked(trials: list[FrozenTrial], plan: SearchPlan) -> list[FrozenTrial]:
    """The trials that were trained to their end, the best first."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sign = 1 if plan.direction == "minimize" else -1
    return sorted(complete, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))


def draw(shared: Shared, folder: Path) -> dict[str, Path]:
    """Write the pictures of a search, by their captions; none where too few trials ended."""
    found: dict[str, Path] = {}
    best = ranked(shared.trials(), shared.plan)
    if not best:
        return found
    with replacing(folder / TRIALS) as file:
        course(shared.trials(), shared.plan).savefig(file, format="png", dpi=120)
    found[f"{shared.plan.metric} of every trial"] = folder / TRIALS
    varied = [key for key in shared.plan.space if len({str(t.params.get(key)) for t in best}) > 1]
    if varied:
        shares = optuna.importance.get_param_importances(shared.study, params=varied)
        with replacing(folder / IMPORTANCE) as file:
            bars(shares, shared.plan.metric).savefig(file, format="png", dpi=120)
        found[f"What {shared.plan.metric} depends on"] = folder / IMPORTANCE
    return found


def course(trials: list[FrozenTrial], plan: SearchPlan) -> Figure:
    """The metric of every trial, the last of those that were pruned, and the best so far."""
    numbers, values = _points(trials, TrialState.COMPLETE)
    better = min if plan.direction == "minimize" else max
    so_far = [better(values[: n + 1]) for n in range(len(values))]
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(numbers, values, "o", markersize=4, label="trial")
    pruned = _points(trials, TrialState.PRUNED)
    if pruned[0]:
        axes.plot(*pruned, "x", markersize=4, color="0.6", label="pruned")
    axes.step(numbers, so_far, where="post", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(plan.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def _points(trials: list[FrozenTrial], state: TrialState) -> tuple[list[int], list[float]]:
    """Numbers and values of the trials that ended so."""
    found = [t for t in trials if t.state == state and t.value is not None]
    return [t.number for t in found], [float(t.value or 0.0) for t in found]


def bars(shares: dict[str, float], metric: str) -> Figure:
    """The share of each parameter in the variance of the metric, the largest on top."""
    figure = Figure(figsize=(6.4, 0.8 + 0.4 * len(shares)), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(shares), list(shares.values()))
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(f"importance for {metric}")
    return figure


def _alone(plan: SearchPlan, again: Sequence[str]) -> list[str]:
    """What a single run needs besides the values: a study must not search again."""
    fixed = [o for o in read_overrides([*plan.fixed, *again]) if o.key != "optimized_metric"]
    study = any(o.key == "sweeps" for o in fixed)
    return [*(o.line for o in fixed), *(["hydra.mode=RUN"] if study else [])]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
