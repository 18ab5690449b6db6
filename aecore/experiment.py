"""From a configuration to the objects of one run; here configuration stops."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aecore.build import build, known_keys, validate
from aecore.data import Source, Split
from aecore.data.module import ImageData
from aecore.errors import UserError
from aecore.figures import Picture
from aecore.init import Init
from aecore.loggers import RunLogger
from aecore.metrics import Metric
from aecore.noise import Noise
from aecore.optimizers import Optimizer, Schedule
from aecore.schema import Root
from aecore.sentence import Sentence, build_noise, sentence

_DEFAULT_THREADS = torch.get_num_threads()  # before any run sets them


@dataclass(frozen=True)
class Words:
    """Everything a configuration names, built and checked, before any data is read.

    ood: other data sets to measure on, by name, of which only the test split is asked for.
    """

    settings: Root
    sentence: Sentence
    init: Init | None
    optimizer: Optimizer
    scheduler: Schedule
    figures: dict[str, Picture]
    test_noise: Noise
    metrics: dict[str, Metric]
    data: ImageData
    ood: dict[str, ImageData]

    def strangers(self) -> dict[str, Split]:
        """Test images unlike those trained on: of other data sets, and of other classes."""
        found = {name: data.test for name, data in self.ood.items()}
        others = self.data.others
        return found if others is None else {"other_classes": others, **found}


def words(config: Mapping[str, Any]) -> Words:
    """Build and check every word of a resolved configuration; raises UserError."""
    settings = validate(Root, config)
    return Words(
        settings=settings,
        sentence=sentence(settings),
        init=build(settings.init, "init", Init) if settings.init else None,
        optimizer=build(settings.optimizer, "optimizer", Optimizer),
        scheduler=build(settings.scheduler, "scheduler", Schedule),
        figures={
            name: build(node, f"figures.{name}", Picture) for name, node in settings.figures.items()
        },
        test_noise=build_noise(settings.evaluate.noise, "evaluate.noise"),
        metrics={
            name: build(node, f"evaluate.metrics.{name}", Metric)
            for name, node in settings.evaluate.metrics.items()
        },
        data=build_data(settings),
        ood=build_ood(settings),
    )


def build_data(settings: Root) -> ImageData:
    """The data module, nothing loaded yet; a dataset node holds its own keys and the source's."""
    return _images(settings, *_parted(settings.dataset), "dataset")


def build_ood(settings: Root) -> dict[str, ImageData]:
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
    settings: Root, common: Mapping[str, Any], source: Mapping[str, Any], path: str
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


def build_logger(settings: Root, folder: Path, purge_step: int | None) -> list[RunLogger]:
    """The logger of a run, none for `logger=none`."""
    if not settings.logger:
        return []
    return [build(settings.logger, "logger", RunLogger, folder=folder, purge_step=purge_step)]


def check_logger(settings: Root) -> None:
    """Raise UserError for a logger that cannot be used, before there is a folder for it."""
    build_logger(settings, Path(os.devnull), None)


def set_threads(threads: int | str, processes: int = 1) -> int:
    """Set and return the number of threads of this process.

    'auto': OMP_NUM_THREADS where set, else SLURM_CPUS_PER_TASK where set, else the cores (those
    that Slurm gives), shared by the processes of a training over several devices.
    """
    if isinstance(threads, str):
        cores = min(_DEFAULT_THREADS, _told("SLURM_CPUS_ON_NODE") or _DEFAULT_THREADS)
        given = _told("OMP_NUM_THREADS") or _told("SLURM_CPUS_PER_TASK")
        threads = given or max(cores // processes, 1)
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning would set them again
    return threads


def _told(name: str) -> int | None:
    """A positive number in an environment variable, None where there is none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def check_device(settings: Root) -> None:
    """Raise UserError where the accelerator asked for is not there."""
    options = settings.trainer
    name = options.accelerator.name
    if name == "gpu" and not torch.cuda.is_available():
        missing = "no CUDA GPU is visible to torch"
    elif name == "mps" and not torch.backends.mps.is_available():
        missing = "no Apple GPU is visible to torch"
    elif settings.trainer.devices * settings.trainer.num_nodes > 1 and options.strategy != "ddp":
        raise UserError(
            f"trainer.devices={options.devices}: several devices need a strategy\n  use trainer=ddp"
        )
    elif name == "gpu" and settings.trainer.devices > torch.cuda.device_count():
        missing = (
            f"trainer.devices={settings.trainer.devices} but {torch.cuda.device_count()} found"
        )
    else:
        return
    raise UserError(
        f"trainer/accelerator={name}: {missing}\n"
        "  use trainer/accelerator=auto or trainer/accelerator=cpu"
    )
