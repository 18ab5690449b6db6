"""The objects of an experiment, built from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aecore.config.build import build, known_keys, validate
from aecore.config.schema import Config
from aecore.config.secret import with_secrets
from aecore.data.augmentations.base import Augment, Augmentation
from aecore.data.module import ImageData
from aecore.data.split import Source, Split
from aecore.errors import ConfigError
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

    augment: None where training images stay as they are.
    secrets: values of `logger`, by their keys, which are null in `config`.
    test_noise: of `evaluate.noise`. ood: other data sets, by name, of which the test split is used.
    """

    config: Config
    components: Components
    init: Init | None
    augment: Augment | None
    optimizer: Optimizer
    scheduler: Schedule
    figures: dict[str, TrialFigure]
    test_noise: Noise
    metrics: dict[str, Metric]
    data: ImageData
    ood: dict[str, ImageData]
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def max_epochs(self) -> int:
        """The number of epochs, which `prepare` has made of `auto`."""
        epochs = self.config.trainer.max_epochs
        assert epochs != "auto", "prepare() comes first"
        return epochs

    def ood_images(self) -> dict[str, Split]:
        """Test images unlike those trained on: of other data sets, and of other classes."""
        images = {name: data.test for name, data in self.ood.items()}
        others = self.data.others
        return images if others is None else {"other_classes": others, **images}


def build_experiment(
    config_dict: Mapping[str, Any], secrets: Mapping[str, Any] | None = None
) -> Experiment:
    """Build every component of a resolved configuration; raises UserError.

    secrets: see `Experiment`.
    """
    config = validate(Config, config_dict)
    return Experiment(
        config=config,
        components=build_components(config),
        init=build(config.init, "init", Init) if config.init else None,
        augment=build_augment(config),
        optimizer=build(config.optimizer, "optimizer", Optimizer),
        scheduler=build(config.scheduler, "scheduler", Schedule),
        figures={
            name: build(node, f"figures.{name}", TrialFigure)
            for name, node in config.figures.items()
            if isinstance(node, dict)  # not `format`
        },
        test_noise=build_noise(config.evaluate.noise, "evaluate.noise"),
        metrics={
            name: build(node, f"evaluate.metrics.{name}", Metric)
            for name, node in config.evaluate.metrics.items()
        },
        data=build_data(config),
        ood=build_ood(config),
        secrets=secrets or {},
    )


def build_augment(config: Config) -> Augment | None:
    """The augmentation of training images, None for none; ConfigError for a key without effect."""
    nodes = config.augment.model_extra
    changes = {
        name: build(node, f"augment.{name}", Augmentation) for name, node in (nodes or {}).items()
    }
    if config.augment.input_only and not changes:
        problem = "there is no augmentation"
        raise ConfigError("augment.input_only", True, problem, {"augment": "[flip]"})
    return Augment(changes, config.augment.input_only) if changes else None


def build_data(config: Config) -> ImageData:
    """The data module, nothing loaded yet."""
    return _image_data(config, *_split_node(config.dataset), "dataset")


def build_ood(config: Config) -> dict[str, ImageData]:
    """Other data sets, treated like the training data but for `test_size` and `classes`."""
    common, _ = _split_node(config.dataset)
    modules = {}
    for name, node in config.evaluate.ood.items():
        own, source = _split_node(node)
        terms = common | {key: own.get(key) for key in ("test_size", "classes")}
        modules[name] = _image_data(config, terms, source, f"evaluate.ood.{name}")
    return modules


def _split_node(node: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of every data set, and those of its source."""
    common = known_keys(ImageData)
    source = {k: v for k, v in node.items() if k not in (*common, "epochs")}
    return {k: v for k, v in node.items() if k in common}, source


def _image_data(
    config: Config, common: Mapping[str, Any], source: Mapping[str, Any], path: str
) -> ImageData:
    return build(
        {"_target_": "aecore.data.module.ImageData", **common},
        path,
        ImageData,
        source=build(source, path, Source),
        data_dir=config.paths.data_dir,
        seed=config.seed,
        limit_batches=config.trainer.limit_batches,
        chunk=config.trainer.log_every,  # losses are read once a chunk
    )


def build_loggers(
    experiment: Experiment, folder: Path, purge_step: int | None = None
) -> list[RunLogger]:
    """The logger of a run, none for `logger=none`; raises UserError where its extra is missing."""
    node = with_secrets(experiment.config.logger, experiment.secrets)
    if not node:
        return []
    logger = build(node, "logger", RunLogger, folder=folder, purge_step=purge_step)
    logger.secrets = experiment.secrets
    return [logger]
