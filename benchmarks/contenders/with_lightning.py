"""Lightning as its templates have it: DataLoader workers, self.log each step, checkpoints."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchmetrics import MeanMetric
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor
from typing_extensions import override

from contenders.models import Model
from machine import cores
from options import BATCH


class Module(LightningModule):
    """A model with a mean of its loss for each split."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.model = Model(network)
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()

    @override
    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = self.model(batch[0])
        self.train_loss(loss)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    @override
    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.val_loss(self.model(batch[0]))
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True, prog_bar=True)

    @override
    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), 1e-3)


class Clock(Callback):
    """When each epoch began, and when training ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.times.append(time.perf_counter())

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.times.append(time.perf_counter())


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds of each epoch, validation and checkpoint included, as ours are counted."""
    torch.set_num_threads(threads)
    seed_everything(0)
    whole = MNIST(data, train=True, transform=ToTensor())
    settings: dict[str, Any] = {
        "batch_size": BATCH,
        "num_workers": min(cores(), 4),
        "persistent_workers": True,
    }
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=TensorBoardLogger(folder),
            callbacks=[clock, ModelCheckpoint(folder, monitor="val/loss", save_last=True)],
        )
        trainer.fit(
            Module(network),
            DataLoader(Subset(whole, range(images)), shuffle=True, **settings),
            DataLoader(Subset(whole, range(55_000, 60_000)), **settings),
        )
    return [b - a for a, b in zip(clock.times, clock.times[1:], strict=False)]
