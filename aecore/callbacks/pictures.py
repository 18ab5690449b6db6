"""Pictures of a training autoencoder, for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Generator, Tensor, nn

from aecore.autoencoder import Autoencoder
from aecore.figures.grid import tile
from aecore.figures.view import spread
from aecore.loggers import TensorBoard
from aecore.words import NonNegativeInt, PositiveInt, word


class _Split(Protocol):
    @property
    def images(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor | None: ...
    @property
    def class_names(self) -> tuple[str, ...] | None: ...
    def pixels(self, index: Tensor) -> Tensor: ...


class _Data(Protocol):
    val: _Split | None
    test: _Split | None


class _Module(Protocol):
    autoencoder: Autoencoder
    device: torch.device


class Pictures(pl.Callback):
    """Shows the same validation images again and again while the autoencoder learns.

    After the epochs 1, 2, 4, 8, ... and at the end: reconstructions (with the noisy input where
    there is noise), samples from the same draws of the prior, and a histogram of each dimension
    of the code. At the end: the codes for the projector. Only where a TensorBoard logger is.

    The random state of the training and the train or eval mode of each part stay as they were.

    images: images a row. dims: dimensions of the code with a histogram, at most.
    points: images encoded for histograms and projector. seed: decides which images and draws.
    """

    @word
    def __init__(
        self, *, images: PositiveInt, dims: PositiveInt, points: PositiveInt, seed: NonNegativeInt
    ) -> None:
        self.images = images
        self.dims = dims
        self.points = points
        self.seed = seed
        self._last_step = -1

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pictures after the epochs 1, 2, 4, 8, ..."""
        epoch = trainer.current_epoch + 1
        if not trainer.sanity_checking and epoch & (epoch - 1) == 0:
            self._show(trainer, pl_module, last=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pictures of the trained model, and its codes."""
        self._show(trainer, pl_module, last=True)

    @torch.no_grad()
    def _show(self, trainer: pl.Trainer, pl_module: pl.LightningModule, last: bool) -> None:
        boards = [logger for logger in trainer.loggers if isinstance(logger, TensorBoard)]
        split = _held_out(trainer)
        if not boards or split is None or not trainer.is_global_zero:
            return
        module = cast(_Module, pl_module)
        step = trainer.global_step
        with evaluating(module.autoencoder):
            if step != self._last_step:
                pictures = self._pictures(module, split)
            chosen, codes = self._codes(module, split)
        for board in boards:
            if step != self._last_step:
                for tag, picture in pictures.items():
                    board.image(tag, picture, step)
                for dim in range(min(self.dims, codes.shape[1])):
                    board.histogram(f"code/{dim:02d}", codes[:, dim], step)
            if last:
                names = _names(split, chosen)
                is_table = split.images.shape[1:3] == (1, 1)
                board.embedding(codes, names, None if is_table else split.pixels(chosen), step)
        self._last_step = step

    def _pictures(self, module: _Module, split: _Split) -> dict[str, Tensor]:
        model = module.autoencoder
        if split.images.shape[1:3] == (1, 1):
            return {}  # the rows of a table
        generator = Generator(module.device).manual_seed(self.seed)
        x = split.pixels(self._choose(split, self.images)).to(module.device)
        noisy = [model.corrupt(x, generator)] if model.noise.active else []
        pictures = {"reconstructions": tile([x, *noisy, model.reconstruct(x)])}
        if model.can_sample:
            generator.manual_seed(self.seed)
            samples = model.sample(2 * self.images, generator)
            pictures["samples"] = tile(samples.split(self.images))
        return pictures

    def _codes(self, module: _Module, split: _Split) -> tuple[Tensor, Tensor]:
        chosen = self._choose(split, self.points)
        parts = split.pixels(chosen).split(500)
        means = [module.autoencoder.encode(x.to(module.device)).mean.flatten(1) for x in parts]
        return chosen, torch.cat(means).float().cpu()

    def _choose(self, split: _Split, count: int) -> Tensor:
        generator = Generator().manual_seed(self.seed)
        return spread(split.labels, len(split.images), count, generator)


def _held_out(trainer: pl.Trainer) -> _Split | None:
    data = cast(_Data | None, getattr(trainer, "datamodule", None))
    if data is None:
        return None
    return data.val if data.val is not None and len(data.val.images) else data.test


def _names(split: _Split, chosen: Tensor) -> list[str] | None:
    if split.labels is None:
        return None
    labels = split.labels[chosen].tolist()
    return [split.class_names[n] if split.class_names else str(n) for n in labels]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode for a while; every part gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
