"""Short spellings of words and models for tests; every default is the dullest one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from pytorch_lightning import Callback
from pytorch_lightning.plugins import MixedPrecision
from torch import Generator, Tensor

from aecore.config import schema
from aecore.config.schema import Config
from aecore.data.augmentations.base import Augment
from aecore.data.module import ImageData
from aecore.data.split import Source, Split, Which
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.deterministic import Deterministic
from aecore.model.latents.gaussian import GaussianLatent
from aecore.model.networks.conv import Conv
from aecore.model.networks.mlp import MLP, Linear
from aecore.model.noise.noises import NoNoise
from aecore.model.penalties.contractive import Contractive
from aecore.model.penalties.weight import Weight
from aecore.model.reconstruction.errors import MSE
from aecore.runs.checkpoint import load
from aecore.training.callbacks.checkpoint import AtomicIO
from aecore.training.checkpoint_parts import checked
from aecore.training.descent import Descent
from aecore.training.module import Training
from aecore.training.optimizers.gradient import Adam, GradientDescent
from aecore.training.optimizers.schedulers import Constant, Schedule
from aecore.training.setup import Experiment
from aecore.training.trainer import make_trainer, quiet


def gen(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(n: int, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """(n, *shape) uniform in [0, 1)."""
    return torch.rand(n, *shape, generator=gen(seed), dtype=dtype)


def mlp(*hidden: int, **changes: Any) -> MLP:
    values: dict[str, Any] = {
        "hidden": list(hidden),
        "decoder_hidden": None,
        "activation": "tanh",
        "output_activation": None,
        "bias": True,
        "norm": None,
        "dropout": 0.0,
    }
    return MLP(**(values | changes))


def conv(*channels: int, **changes: Any) -> Conv:
    values: dict[str, Any] = {
        "channels": list(channels),
        "kernel_size": 3,
        "down": "stride",
        "activation": "tanh",
        "output_activation": None,
        "bias": True,
        "norm": None,
        "dropout": 0.0,
        "ceil_mode": True,
    }
    return Conv(**(values | changes))


def linear(**changes: Any) -> Linear:
    values: dict[str, Any] = {"bias": True, "output_activation": None}
    return Linear(**(values | changes))


def plain(dim: int, **changes: Any) -> Deterministic:
    values: dict[str, Any] = {"dim": dim, "activation": None, "bias": True}
    return Deterministic(**(values | changes))


def gaussian(dim: int) -> GaussianLatent:
    return GaussianLatent(dim=dim)


def weight(value: float = 1.0, schedule: Any = "constant", warmup: float = 0) -> Weight:
    return Weight(weight=value, schedule=schedule, warmup=warmup)


def contractive(method: Any = "auto", samples: int = 1) -> Contractive:
    return Contractive(method=method, samples=samples)


def model(*, seed: int = 0, **words: Any) -> Autoencoder:
    """A small fully connected autoencoder of (1, 4, 4) images, with those words changed."""
    torch.manual_seed(seed)
    values: dict[str, Any] = {
        "image_shape": (1, 4, 4),
        "network": mlp(6),
        "latent": plain(3),
        "noise": NoNoise(),
        "reconstruction": MSE(),
        "penalties": {},
    }
    values |= words
    values.setdefault("weights", {name: weight() for name in values["penalties"]})
    return Autoencoder(**values)


def adam(lr: float = 1e-3) -> Adam:
    return Adam(lr=lr, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0)


class Memory(Source):
    """Splits that are in memory already."""

    def __init__(self, train: Split, test: Split | None = None) -> None:
        self.splits = {"train": train, "test": train if test is None else test}

    def load(self, split: Which, data_dir: Path) -> Split:
        return self.splits[split]


def data_of(source: Source, **changes: Any) -> ImageData:
    """A data module of that source."""
    values: dict[str, Any] = {
        "data_dir": "nowhere",
        "batch_size": 8,
        "eval_batch_size": 16,
        "range": "unit",
        "val_size": 0,
        "train_size": None,
        "test_size": None,
        "seed": 0,
        "limit_batches": None,
        "chunk": None,
    }
    return ImageData(source=source, **(values | changes))


def data(train: Tensor, **changes: Any) -> ImageData:
    """A data module of those train images, (N, C, H, W)."""
    return data_of(Memory(Split(train)), **changes)


def trainer_options(epochs: int, **changes: Any) -> Config:
    """Settings with a `trainer` node alone, which is all that training looks at."""
    node: dict[str, Any] = {
        "max_epochs": epochs,
        "threads": 1,
        "precision": "32-true",
        "gradient_clip": None,
        "accumulate": 1,
        "warmup": 0,
        "ema": None,
        "log_every": 10,
        "limit_batches": None,
        "checkpoint_minutes": None,
        "compile": None,
        "strategy": "auto",
        "devices": 1,
        "num_nodes": 1,
        "early_stopping": {"patience": None, "monitor": "val/loss", "min_delta": 0.0},
        "accelerator": "cpu",
    }
    return Config.model_construct(trainer=schema.Trainer(**(node | changes)))


def fit(
    whole: Autoencoder,
    module: ImageData,
    *,
    epochs: int,
    optimizer: GradientDescent | None = None,
    schedule: Schedule | None = None,
    seed: int = 0,
    log_every: int = 10,
    clip: float | None = None,
    augment: Augment | None = None,
    scaler: torch.amp.GradScaler | None = None,
    callbacks: list[Callback] | None = None,
    ckpt_path: Path | None = None,
    **options: Any,
) -> Training:
    """Train on the CPU as a run does; returns the Lightning module.

    scaler: of a training in float16, which Lightning has only on a GPU, but torch has here too.
    """
    optimizer, schedule = optimizer or adam(), schedule or Constant()
    config = trainer_options(epochs, gradient_clip=clip, **options)
    chosen = config.trainer
    training = Training(
        whole,
        optimizer,
        schedule,
        seed=seed,
        log_every=log_every,
        descent=Descent(chosen.accumulate, chosen.gradient_clip, chosen.warmup),
        augment=augment,
        ema=chosen.ema,
    )
    resumed = None
    if ckpt_path is not None:
        experiment = SimpleNamespace(
            config=config, optimizer=optimizer, scheduler=schedule, data=module, max_epochs=epochs
        )
        resumed = checked(load(ckpt_path), ckpt_path, cast(Experiment, experiment), whole)
    with quiet():
        trainer = make_trainer(
            config,
            callbacks or [],
            [],
            AtomicIO(resumed=resumed),
            validate=module.val is not None,
        )
        if scaler is not None:
            trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu", scaler)
        trainer.fit(training, datamodule=module, ckpt_path=ckpt_path)
    return training
