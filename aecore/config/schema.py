"""The schema of the configuration, except the components: keys, types and ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from aecore.config.component import (
    STRICT,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from aecore.config.folders import builtin_options

Name = Annotated[str, Field(pattern=r"^\w[\w-]*$")]  # of one among several; files may be named so


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
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    gradient_clip: PositiveFloat | None
    accumulate: PositiveInt = 1
    warmup: NonNegativeFloat = 0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
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

    data_dir: str
    output_dir: str


class EvaluateConfig(Node):
    """The evaluation on the test split.

    noise: a node of the noise group. metrics, ood (other data sets): nodes by name.
    """

    weights: Literal["auto", "last", "best"]
    noise: dict[str, Any]
    metrics: dict[Name, dict[str, Any]]
    ood: dict[Name, dict[str, Any]]


class AugmentConfig(Node, extra="allow"):
    """The augmentation of training images: nodes by name, and what they change."""

    input_only: bool = False
    __pydantic_extra__: dict[Name, dict[str, Any]] = Field(init=False)


def _without_tasks(content: Any) -> Any:
    """The keys of a configuration without the nodes of tasks, `evaluate` excepted."""
    tasks = {*builtin_options("task")} - {"evaluate"}
    is_node = isinstance(content, dict)
    return {k: v for k, v in content.items() if k not in tasks} if is_node else content


class Config(Node):
    """The whole configuration; components are checked at construction.

    Options of tasks are left out: `build_task` reads those of the chosen one.
    """

    _tasks = model_validator(mode="before")(_without_tasks)

    seed: Annotated[NonNegativeInt, Field(lt=2**63)]
    conditional: bool
    resume: str | None
    dry_run: bool = False
    init_from: str | None
    runs: str | list[str] | None
    out: str | None
    run: str | None
    split: Literal["train", "val", "test", "all"] | None
    resize: bool
    optimized_metric: str | None
    paths: Paths
    trainer: Trainer
    evaluate: EvaluateConfig
    task: str
    dataset: dict[str, Any]
    network: dict[str, Any]
    latent: dict[str, Any]
    augment: AugmentConfig = AugmentConfig()
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
    figures: dict[Name, dict[str, Any] | Literal["png", "pdf", "svg"]]
