"""From a configuration to the objects of one run; here configuration stops."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecore.config.build import build, known_keys, validate
from aecore.config.schema import Config
from aecore.data.module import ImageData
from aecore.data.split import Source, Split
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.metrics.base import Metric
from aecore.model.components import Components, build_components, build_noise
from aecore.model.noise.base import Noise
from aecore.training.init import Init
from aecore.training.loggers.base import RunLogger
from aecore.training.optimizers.base import Optimizer
from aecore.training.optimizers.schedulers import Schedule


@dataclass(frozen=True)
class Experiment:
    """Everything a configuration names, built and checked, before any data is read.

    ood: other data sets to measure on, by name, of which only the test split is asked for.
    """

    settings: Config
    components: Components
    init: Init | None
    optimizer: Optimizer
    scheduler: Schedule
    figures: dict[str, TrialFigure]
    test_noise: Noise
    metrics: dict[str, Metric]
    data: ImageData
    ood: dict[str, ImageData]

    def ood_images(self) -> dict[str, Split]:
        """Test images unlike those trained on: of other data sets, and of other classes."""
        found = {name: data.test for name, data in self.ood.items()}
        others = self.data.others
        return found if others is None else {"other_classes": others, **found}


def build_experiment(config: Mapping[str, Any]) -> Experiment:
    """Build and check every word of a resolved configuration; raises UserError."""
    settings = validate(Config, config)
    return Experiment(
        settings=settings,
        components=build_components(settings),
        init=build(settings.init, "init", Init) if settings.init else None,
        optimizer=build(settings.optimizer, "optimizer", Optimizer),
        scheduler=build(settings.scheduler, "scheduler", Schedule),
        figures={
            name: build(node, f"figures.{name}", TrialFigure)
            for name, node in settings.figures.items()
        },
        test_noise=build_noise(settings.evaluate.noise, "evaluate.noise"),
        metrics={
            name: build(node, f"evaluate.metrics.{name}", Metric)
            for name, node in settings.evaluate.metrics.items()
        },
        data=build_data(settings),
        ood=build_ood(settings),
    )


def build_data(settings: Config) -> ImageData:
    """The data module, nothing loaded yet; a dataset node holds its own keys and the source's."""
    return _images(settings, *_parted(settings.dataset), "dataset")


def build_ood(settings: Config) -> dict[str, ImageData]:
    """Other data sets, treated as the run's own one is, but for `test_size` and `classes`."""
    common, _ = _parted(settings.dataset)
    found = {}
    for name, node in settings.evaluate.ood.items():
        own, source = _parted(node)
        terms = common | {key: own.get(key) for key in ("test_size", "classes")}
        found[name] = _images(settings, terms, source, f"evaluate.ood.{name}")
    return found


def _parted(node: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of every data set, and those of its source."""
    common = known_keys(ImageData)
    source = {k: v for k, v in node.items() if k not in (*common, "epochs")}
    return {k: v for k, v in node.items() if k in common}, source


def _images(
    settings: Config, common: Mapping[str, Any], source: Mapping[str, Any], path: str
) -> ImageData:
    return build(
        {"_target_": "aecore.data.module.ImageData", **common},
        path,
        ImageData,
        source=build(source, path, Source),
        data_dir=settings.paths.data_dir,
        seed=settings.seed,
        limit_batches=settings.trainer.limit_batches,
        chunk=settings.trainer.log_every,  # losses are read once a chunk
    )


def build_logger(settings: Config, folder: Path, purge_step: int | None) -> list[RunLogger]:
    """The logger of a run, none for `logger=none`."""
    if not settings.logger:
        return []
    return [build(settings.logger, "logger", RunLogger, folder=folder, purge_step=purge_step)]


def check_logger(settings: Config) -> None:
    """Raise UserError for a logger that cannot be used, before there is a folder for it."""
    build_logger(settings, Path(os.devnull), None)
