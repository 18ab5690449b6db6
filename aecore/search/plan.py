"""What is searched, checked as a whole before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from optuna.distributions import (
    BaseDistribution,
    distribution_to_json,
    json_to_distribution,
)

from aecore.build import validate
from aecore.choices import split_override
from aecore.compare import direction
from aecore.compose import Arguments, Job, compose, opened, refusal
from aecore.errors import UserError, nearest
from aecore.experiment import words
from aecore.optimizers import ClosedForm
from aecore.schema import Node
from aecore.search.space import Split, corners, overrides_of, split
from aecore.sweep import RECORD, Sweep, check, sweep_folder
from aecore.tasks.train import prepare
from aecore.words import NonNegativeInt, PositiveInt


class Settings(Node):
    """`hydra.sweeper`; what each key means stands beside its value in `hydra_plugins`."""

    n_trials: PositiveInt
    n_jobs: PositiveInt
    direction: Literal["minimize", "maximize"] | None
    storage: str | None
    study_name: str | None
    sampler: Literal["tpe", "random"]
    pruner: Literal["none", "median"]
    seed: NonNegativeInt


class Plan(Settings):
    """All that a search has to remember.

    metric: what it optimizes. owner: the mark of this worker's trials. fixed: overrides of every
    job. space: key -> Optuna's distribution as JSON.
    """

    metric: str
    owner: str
    fixed: list[str]
    space: dict[str, str]

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The space."""
        return {key: json_to_distribution(text) for key, text in self.space.items()}

    def job(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial with those values."""
        return [*self.fixed, *overrides_of(values)]


def plan(arguments: Arguments, job: Job) -> Sweep:
    """Check a search and record it in a new folder; raises UserError before that."""
    ours = [o for o in arguments.overrides if not o.startswith("hydra")]
    hydras = [o for o in arguments.overrides if o.startswith("hydra")]
    study = [o for o in ours if split_override(o)[0] == "sweeps"]
    settings = settings_of(arguments, [*hydras, *study])
    parts = _split(arguments, job, ours)
    metric, way = _objective(job.config.get("optimized_metric"), settings)
    if not parts.space:
        raise UserError(
            "hydra/sweeper=optuna: nothing varies\n"
            "  give for example 'latent.dim=range(2,33)' 'optimizer.lr=tag(log,interval(1e-4,1e-2))'"
        )
    if settings.storage is not None and settings.study_name is None:
        raise UserError(
            f"hydra.sweeper.storage={settings.storage}: which study in it?\n"
            "  give hydra.sweeper.study_name=NAME; workers with the same name share one"
        )
    points = [[*parts.fixed, *overrides_of(point)] for point in corners(parts.space)]
    check(arguments, points, what="point")
    first = compose(replace(arguments, overrides=[*hydras, *points[0]], multirun=False))
    _check_metric(metric, known_metrics(first.config))
    folder = sweep_folder(job)
    given = settings.model_dump() | {
        "direction": way,
        "study_name": settings.study_name or "search",
    }
    made = Plan(
        **given,
        metric=metric,
        owner=str(folder.resolve()),
        fixed=parts.fixed,
        space={key: distribution_to_json(d) for key, d in parts.space.items()},
    )
    sweep = Sweep(folder, arguments.flags, [*hydras, *study], [], [], made.model_dump())
    sweep.write()
    return sweep


def settings_of(arguments: Arguments, overrides: list[str]) -> Settings:
    """`hydra.sweeper` of these overrides; raises UserError."""
    try:
        with opened(arguments) as hydra:
            config = hydra.compose_config(
                arguments.config_name, overrides, run_mode=RunMode.MULTIRUN
            )
            node = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    except HydraException as error:
        raise refusal(error, arguments, overrides) from None
    assert isinstance(node, dict)
    keys = {str(k): v for k, v in node.items() if k not in ("_target_", "params")}
    return validate(Settings, keys, "hydra.sweeper")


def plan_of(sweep: Sweep) -> Plan:
    """The plan of a recorded search; UserError where the record is damaged."""
    assert sweep.search is not None
    return validate(Plan, sweep.search, str(sweep.folder / RECORD))


def _split(arguments: Arguments, job: Job, ours: list[str]) -> Split:
    """The study's own parameters, then those of the command line, which replace them."""
    lines = [*(f"{key}={value}" for key, value in job.parameters.items()), *ours]
    try:
        with opened(arguments) as hydra:
            parser = OverridesParser.create(config_loader=hydra.config_loader)
            return split(parser.parse_overrides(lines))
    except HydraException as error:
        raise refusal(error, arguments, lines) from None


def _objective(metric: Any, settings: Settings) -> tuple[str, str]:
    """The metric and whether to minimize or maximize it."""
    if not isinstance(metric, str):
        raise UserError(
            "optimized_metric: a search needs to know what to optimize\n"
            "  give for example optimized_metric=val/loss"
        )
    if metric.startswith("test"):
        raise UserError(
            f"optimized_metric={metric}: optimizing a test metric is refused, it would choose the "
            "model\n  by the images that are to judge it; use val/loss or another val/..."
        )
    natural = {"lower": "minimize", "higher": "maximize"}.get(direction(metric))
    way = settings.direction or natural
    if way is None:
        raise UserError(
            f"optimized_metric={metric}: it is not known which way it is better\n"
            "  give hydra.sweeper.direction=minimize or maximize"
        )
    return metric, way


def known_metrics(config: dict[str, Any]) -> list[str]:
    """What a job of this configuration can tell of its training; raises UserError.

    One training image goes through the objective, whose terms are known by nobody else.
    """
    parts = words(config)
    if isinstance(parts.optimizer, ClosedForm):
        return []
    model = prepare(parts).eval()
    x = parts.data.train.pixels(torch.arange(1))
    terms = model.terms(x, torch.Generator().manual_seed(0), epoch=0, noisy=False).values
    names = ["loss", *terms, *(f"{name}_weighted" for name in model.weights if name in terms)]
    splits = ["train"] if parts.data.val is None else ["val", "train"]
    return [f"{split}/{name}" for split in splits for name in names] + ["train/seconds"]


def _check_metric(metric: str, known: list[str]) -> None:
    if metric not in known:
        listed = ", ".join(known) or "none, nothing is trained by gradient descent here"
        raise UserError(
            f"optimized_metric={metric}: no such metric{nearest(metric, known)}\n  known: {listed}"
        )
