"""The nodes of the configuration that are no words: their keys, types and ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from aecore.config.component import (
    STRICT,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)


class Node(BaseModel):
    """A plain node: strict types, no unknown key."""

    model_config = STRICT


class EarlyStopping(Node):
    """Ends training after `patience` epochs in which `monitor` did not fall by `min_delta`."""

    patience: PositiveInt | None
    monitor: Annotated[str, Field(pattern=r"^val/")]
    min_delta: NonNegativeFloat


class Accelerator(Node):
    """On what device."""

    name: Literal["auto", "cpu", "gpu", "mps"]


class Trainer(Node):
    """How long, how precise, on how many threads and devices."""

    max_epochs: PositiveInt
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
    accelerator: Accelerator


class Paths(Node):
    """Where data lies and runs go."""

    data_dir: str
    output_dir: str


class EvaluateConfig(Node):
    """How the test split is measured.

    noise: a word of the noise group. metrics: words by name. ood: other data sets by name.
    """

    weights: Literal["last", "best"]
    noise: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    ood: dict[str, dict[str, Any]]


class Config(Node):
    """The whole configuration; words are checked by what they build."""

    seed: Annotated[NonNegativeInt, Field(lt=2**63)]
    conditional: bool
    resume: str | None
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
    task: dict[str, Any]
    dataset: dict[str, Any]
    network: dict[str, Any]
    latent: dict[str, Any]
    noise: dict[str, Any]
    penalty: dict[str, dict[str, Any]]
    reconstruction: dict[str, dict[str, Any]]
    prior: dict[str, Any]
    objective: dict[str, Any]
    sampler: dict[str, Any]
    init: dict[str, Any]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    logger: dict[str, Any]
    figures: dict[str, dict[str, Any]]
