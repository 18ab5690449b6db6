"""The report of a search: the best trials, a command for the best, parameter importances."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization.matplotlib import plot_optimization_history, plot_param_importances

from aecore.compare.compare import compare_sweep
from aecore.compare.values import shown
from aecore.config.folders import command
from aecore.config.overrides import read as read_overrides
from aecore.config.terminal import say, show
from aecore.runs.files import replacing
from aecore.runs.sweep import Sweep
from aecore.runs.text_table import table
from aecore.sweeps.search.settings import SearchPlan
from aecore.sweeps.search.space import overrides_of
from aecore.sweeps.search.study import Shared

IMPORTANCE, TRIALS = "importance.png", "trials.png"
Plots = dict[str, tuple[str, Callable[..., object]]]
_SHOWN = 5
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "still running",
}


def finish(sweep: Sweep, shared: Shared) -> int:
    """Compare the jobs, draw and print; returns 1 where a trial of this worker failed, else 0."""
    summary = compare_sweep(sweep, extra=draw(shared, sweep.folder))
    show(summary.text)
    say(f"\n{search_text(shared, sweep)}\n\nreport  {summary.report}")
    failed = {trial.number for trial in shared.mine() if trial.state == TrialState.FAIL}
    return int(bool(failed - shared.retried()))


def search_text(shared: Shared, sweep: Sweep) -> str:
    """How many trials ended how, the best of them, and the command that runs the best."""
    plan, retried = shared.plan, shared.retried()
    trials = [trial for trial in shared.trials() if trial.number not in retried]
    counts = [
        f"{count} {name}"
        for state, name in _STATES.items()
        if (count := sum(trial.state == state for trial in trials))
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
        [str(t.number), f"{t.value:.6g}", *(shown(t.params.get(key)) for key in keys)]
        for t in best[:_SHOWN]
    ]
    overrides = [*_alone(plan, sweep.again), *overrides_of(best[0].params)]
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
    """Write Optuna's plots of a study, by their captions; none where no trial was trained."""
    best, metric = ranked(shared.trials(), shared.plan), shared.plan.metric
    if not best:
        return {}
    plots: Plots = {TRIALS: (f"{metric} of every trial", plot_optimization_history)}
    varied = [key for key in shared.plan.space if len({str(t.params.get(key)) for t in best}) > 1]
    if varied:
        importances = partial(plot_param_importances, params=varied)
        plots[IMPORTANCE] = (f"What {metric} depends on", importances)
    plt.switch_backend("agg")
    for name, (_, plot) in plots.items():
        with plt.rc_context(), warnings.catch_warnings():  # Optuna sets a style
            warnings.simplefilter("ignore", ExperimentalWarning)
            plot(shared.study, target_name=metric)
            with replacing(folder / name) as file:
                plt.savefig(file, format="png", dpi=120, bbox_inches="tight")
            plt.close()
    return {caption: folder / name for name, (caption, _) in plots.items()}


def _alone(plan: SearchPlan, again: Sequence[str]) -> list[str]:
    """What a single run needs besides the values: a study must not search again."""
    fixed = [o for o in read_overrides([*plan.fixed, *again]) if o.key != "optimized_metric"]
    study = any(o.key == "sweeps" for o in fixed)
    return [*(o.line for o in fixed), *(["hydra.mode=RUN"] if study else [])]
