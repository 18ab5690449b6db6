"""pythae's own trainer, with the same network and batch, on tensors in memory."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import AE, VAE, AEConfig, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn
from typing_extensions import override

from contenders.models import CODE, decoder, encoder, mnist
from options import BATCH


class Encoder(BaseEncoder):  # type: ignore[misc]
    """Our layers as pythae's encoder."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.layers, self.variational = encoder(network), network == "vae"

    @override
    def forward(self, x: Tensor) -> ModelOutput:
        h = self.layers(x)
        if not self.variational:
            return ModelOutput(embedding=h)
        mean, log_var = h.chunk(2, 1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):  # type: ignore[misc]
    """Our layers as pythae's decoder; its VAE wants probabilities."""

    def __init__(self, network: str) -> None:
        super().__init__()
        last = [nn.Sigmoid()] if network == "vae" else []
        self.layers = nn.Sequential(*decoder(network), *last)

    @override
    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


class Clock(TrainingCallback):  # type: ignore[misc]
    """When each epoch began, and when training ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @override
    def on_epoch_begin(self, training_config: Any, **kwargs: Any) -> None:
        self.times.append(time.perf_counter())

    @override
    def on_train_end(self, training_config: Any, **kwargs: Any) -> None:
        self.times.append(time.perf_counter())


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds of each epoch, validation included, as ours are counted."""
    torch.set_num_threads(threads)
    pixels = mnist(data, 60_000)
    train, held_out = (
        BaseDataset(part, torch.zeros(len(part))) for part in (pixels[:images], pixels[55_000:])
    )
    shape = {"input_dim": (1, 28, 28), "latent_dim": CODE[network]}
    parts = {"encoder": Encoder(network), "decoder": Decoder(network)}
    if network == "vae":
        model = VAE(VAEConfig(**shape, reconstruction_loss="bce"), **parts)
    else:
        model = AE(AEConfig(**shape), **parts)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            learning_rate=1e-3,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            num_epochs=epochs,
            no_cuda=True,
        )
        trainer = BaseTrainer(model, train, held_out, settings, callbacks=[clock])
        trainer.train()
    return [b - a for a, b in zip(clock.times, clock.times[1:], strict=False)]
