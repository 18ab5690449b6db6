"""The plan of a search, checked before any training."""

from __future__ import annotations

from typing import Any

import torch
from optuna.distributions import distribution_to_json

from aecore.compare.metrics import direction
from aecore.config.arguments import Arguments
from aecore.config.compose import Composition, composing, hydra_of
from aecore.config.overrides import SUBDIR, SWEEPER, read
from aecore.errors import UserError, nearest
from aecore.evaluation.reported import COMMON
from aecore.runs.recorded import is_recordable
from aecore.runs.sweep import Sweep
from aecore.runs.sweep_record import Direction, SearchSettings
from aecore.sweeps.plan import check, grid, shared, sweep_folder
from aecore.sweeps.search.settings import SearchPlan, settings_of
from aecore.sweeps.search.space import corners, overrides_of, split
from aecore.sweeps.search.study import opened
from aecore.sweeps.selections import Selections, is_numbered
from aecore.training.optimizers.closed_form import ClosedForm
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment


def plan_search(arguments: Arguments, composition: Composition) -> tuple[Sweep, Selections | None]:
    """Check a search and record it in a new folder; raises UserError before that.

    Returns with it no configurations of jobs: which ones there will be is not known yet.
    """
    if not is_numbered(composition.whole):
        raise UserError(f"{SUBDIR}: the folders of trials are numbered in a search; leave it out")
    settings = settings_of(composition.whole)
    lines = grid(arguments, composition)
    with composing(arguments, lines), hydra_of(arguments) as hydra:
        fixed, space = split(lines, hydra.config_loader)
    metric = _objective(composition.config.get("optimized_metric"))
    if not space:
        raise UserError(
            "hydra/sweeper=optuna: nothing varies",
            "give for example 'latent.dim=range(2,33)' 'optimizer.lr=interval(1e-4,1e-2)'",
        )
    if settings.storage is not None and settings.study_name is None:
        raise UserError(
            f"hydra.sweeper.storage={settings.storage}: which study in it?",
            "give hydra.sweeper.study_name=NAME; workers with the same name share one",
        )
    points = [(*fixed, *read(overrides_of(point))) for point in corners(space)]
    selections = check(arguments, points, what="point")
    _check_metric(metric, known_metrics(selections.config(points[0])))
    plan = SearchPlan(
        **settings.model_dump(exclude={"direction", "study_name"}),
        direction=_direction(metric, settings),
        study_name=settings.study_name or "search",
        metric=metric,
        owner="",
        fixed=[o.line for o in fixed if is_recordable(o)],
        space={key: distribution_to_json(d) for key, d in space.items()},
    )
    if plan.storage is not None:
        opened(plan)
    folder = sweep_folder(composition, composition.choices.get("sweeps") or "search")
    record = plan.model_dump() | {"owner": str(folder.resolve())}
    overrides = [o.line for o in read(shared(arguments)) if not o.is_below(SWEEPER)]
    unrecorded = [o.line for o in fixed if not is_recordable(o)]
    sweep = Sweep(folder, [*arguments.flags], overrides, [], [], record, again=unrecorded)
    sweep.begin()
    return sweep, None


def _objective(metric: Any) -> str:
    """The metric to optimize; UserError if there is none, or if it is one of the test split."""
    if not isinstance(metric, str):
        raise UserError(
            "optimized_metric: a search needs to know what to optimize",
            "give for example optimized_metric=val/loss",
        )
    if metric.startswith("test"):
        raise UserError(
            f"optimized_metric={metric}: optimizing a test metric is refused",
            "test metrics must not be optimized; use val/loss or another val/...",
        )
    return metric


def _direction(metric: str, settings: SearchSettings) -> Direction:
    """The direction of the options, or else of the metric; UserError if it has none."""
    natural: dict[str, Direction] = {"lower": "minimize", "higher": "maximize"}
    way = settings.direction or natural.get(direction(COMMON, metric))
    if way is None:
        raise UserError(
            f"optimized_metric={metric}: it is not known which way it is better",
            "give hydra.sweeper.direction=minimize or maximize",
        )
    return way


def known_metrics(config: dict[str, Any]) -> list[str]:
    """The training metrics of a job of this configuration; raises UserError.

    One training image goes through the objective, whose terms are known by nobody else.
    """
    parts = build_experiment(config)
    if isinstance(parts.optimizer, ClosedForm):
        return []
    model = prepare(parts).eval()
    one = parts.data.train.subset(torch.arange(1))
    draws = torch.Generator().manual_seed(0)
    terms = model.terms(one.pixels(), draws, epoch=0, noisy=False, y=one.labels).logged
    names = ["loss", *terms, *(f"{name}_weighted" for name in model.weights if name in terms)]
    splits = ["train"] if parts.data.val is None else ["val", "train"]
    return [f"{split}/{name}" for split in splits for name in names] + ["train/seconds"]


def _check_metric(metric: str, known: list[str]) -> None:
    if metric not in known:
        listed = ", ".join(known) or "none, nothing is trained by gradient descent here"
        raise UserError(
            f"optimized_metric={metric}: no such metric{nearest(metric, known)}", f"known: {listed}"
        )
