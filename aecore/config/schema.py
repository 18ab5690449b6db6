"""The schema of the configuration, except the components: keys, types and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from aecore.config.component import (
    STRICT,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)


@dataclass(frozen=True)
class PathKeys:
    """Marks a key as a path, or the keys of a node that are paths or file names.

    The command line puts such values in quotes, as Hydra's grammar cannot read all of them.
    """

    keys: tuple[str, ...] = ()


PATH = PathKeys()
Name = Annotated[str, Field(pattern=r"^\w[\w-]*$")]  # of one among several; files may be named so
_DATA_KEYS = ("root", "path", "cache_dir")  # keys of every data set that reads files


class Node(BaseModel):
    """A plain node: strict types, no unknown key."""

    model_config = STRICT


class EarlyStopping(Node):
    """Ends training after `patience` epochs without a decrease of `monitor` by `min_delta`."""

    patience: PositiveInt | None
    monitor: Annotated[str, Field(pattern=r"^val/")]
    min_delta: NonNegativeFloat


class Trainer(Node):
    """Training: duration, precision, threads and devices."""

    max_epochs: PositiveInt | Literal["auto"]
    threads: PositiveInt | Literal["auto"]
    precision: Literal["32-true", "bf16-mixed"]
    gradient_clip: PositiveFloat | None
    log_every: PositiveInt
    limit_batches: PositiveInt | None
    checkpoint_minutes: NonNegativeFloat | None
    compile: Literal["default", "reduce-overhead", "max-autotune"] | None
    strategy: Literal["auto", "ddp"]
    devices: PositiveInt
    num_nodes: PositiveInt
    early_stopping: EarlyStopping
    accelerator: Literal["auto", "cpu", "gpu", "mps"]


class Paths(Node):
    """Folders of data and runs."""

    data_dir: Annotated[str, PATH]
    output_dir: Annotated[str, PATH]


class EvaluateConfig(Node):
    """The evaluation on the test split.

    noise: a node of the noise group. metrics, ood (other data sets): nodes by name.
    """

    weights: Literal["auto", "last", "best"]
    noise: dict[str, Any]
    metrics: dict[Name, dict[str, Any]]
    ood: Annotated[dict[Name, dict[str, Any]], PathKeys(tuple(f"*.{k}" for k in _DATA_KEYS))]


class Config(Node):
    """The whole configuration; components are checked at construction.

    Contains only the options of the chosen task.
    """

    seed: Annotated[NonNegativeInt, Field(lt=2**63)]
    conditional: bool
    resume: Annotated[str | None, PATH]
    init_from: Annotated[str | None, PATH]
    runs: Annotated[str | list[str] | None, PATH]
    out: Annotated[str | None, PATH]
    run: Annotated[str | None, PATH]
    split: Literal["train", "val", "test", "all"] | None
    resize: bool
    optimized_metric: str | None
    paths: Paths
    trainer: Trainer
    evaluate: EvaluateConfig
    task: str
    compress: dict[str, Any] = {}
    encode: dict[str, Any] = {}
    export: dict[str, Any] = {}
    interpolate: Annotated[dict[str, Any], PathKeys(("images",))] = {}
    reconstruct: dict[str, Any] = {}
    sample: dict[str, Any] = {}
    score: dict[str, Any] = {}
    traverse: Annotated[dict[str, Any], PathKeys(("image",))] = {}
    dataset: Annotated[dict[str, Any], PathKeys(_DATA_KEYS)]
    network: dict[str, Any]
    latent: dict[str, Any]
    noise: dict[str, Any]
    penalty: dict[Name, dict[str, Any]]
    reconstruction: dict[Name, dict[str, Any]]
    prior: dict[str, Any]
    objective: dict[str, Any]
    sampler: dict[str, Any]
    init: dict[str, Any]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    logger: dict[str, Any]
    figures: dict[Name, dict[str, Any]]


def is_path(key: str) -> bool:
    """Whether a key of the configuration, with dots, is a path or the name of a file."""
    return any(fnmatchcase(key, pattern) for pattern in _path_keys())


@cache
def _path_keys() -> tuple[str, ...]:
    return tuple(_marked(Config))


def _marked(model: type[BaseModel], place: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        for mark in info.metadata:
            if isinstance(mark, PathKeys):
                yield from (f"{place}{name}.{key}" for key in mark.keys)
                if not mark.keys:
                    yield f"{place}{name}"
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _marked(info.annotation, f"{place}{name}.")
