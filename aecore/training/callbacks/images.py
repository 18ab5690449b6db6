"""Images of an autoencoder in training, for loggers that take them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Generator, Tensor, nn

from aecore.config.component import NonNegativeInt, PositiveInt, component
from aecore.data.module import ImageData
from aecore.data.split import Split, rescaled
from aecore.evaluation.figures.grid import tile
from aecore.evaluation.selection import balanced
from aecore.training.loggers.base import RunLogger
from aecore.training.module import Training
from aecore.types import is_table


class Images(Callback):
    """Logs reconstructions of the same validation images, samples and codes during training.

    After the epochs 1, 2, 4, 8, ... and at the end: reconstructions (with the noisy input where
    there is noise), samples from the same draws of the prior, and a histogram of each dimension
    of the code. At the end: the codes for the projector. Only for loggers with `takes_images`.

    The random state of training and the train or eval mode of each module stay as they were.

    images: per row. dims: latent dimensions with a histogram, at most.
    points: images encoded for histograms and projector. seed: of the choice of images and draws.
    """

    @component
    def __init__(
        self, *, images: PositiveInt, dims: PositiveInt, points: PositiveInt, seed: NonNegativeInt
    ) -> None:
        self.images = images
        self.dims = dims
        self.points = points
        self.seed = seed
        self._last_step = -1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log images after the epochs 1, 2, 4, 8, ..."""
        epoch = trainer.current_epoch + 1
        if epoch & (epoch - 1) == 0:
            self._log(trainer, pl_module, last=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log images of the trained model, and its codes."""
        self._log(trainer, pl_module, last=True)

    @torch.no_grad()
    def _log(self, trainer: Trainer, pl_module: LightningModule, last: bool) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, RunLogger)]
        loggers = [logger for logger in loggers if logger.takes_images]
        if not loggers or not trainer.is_global_zero:
            return
        module = cast(Training, pl_module)
        data = cast(ImageData, trainer.datamodule)  # type: ignore[attr-defined]
        split = data.test if data.val is None else data.val
        if (limits := module.autoencoder.limits) is not None:
            split = rescaled(split, limits)
        step = module.step
        with evaluating(module.autoencoder):
            images = {} if step == self._last_step else self._images(module, split)
            chosen, codes = self._codes(module, split)
        for logger in loggers:
            for tag, image in images.items():
                logger.image(tag, image, step)
            if step != self._last_step:
                for dim in range(min(self.dims, codes.shape[1])):
                    logger.histogram(f"code/{dim:02d}", codes[:, dim], step)
            if last:
                table = is_table(split.image_shape)
                thumbnails = None if table else split.pixels(chosen)
                logger.embedding(codes, _names(split, chosen), thumbnails, step)
        self._last_step = step

    def _images(self, module: Training, split: Split) -> dict[str, Tensor]:
        model = module.autoencoder.in_unit_range()
        if is_table(split.image_shape):
            return {}  # the rows of a table
        generator = Generator(device=module.device).manual_seed(self.seed)
        x, y = _at(module, split, self._choose(split, self.images))
        noisy = [model.corrupt(x, generator)] if model.noise.active else []
        images = {"reconstructions": tile([x, *noisy, model.reconstruct(x, y)])}
        if model.can_sample:
            generator.manual_seed(self.seed)
            count = 2 * self.images
            classes = None if y is None else y[torch.arange(count, device=y.device) % len(y)]
            samples = model.sample(count, generator, classes)
            images["samples"] = tile(torch.split(samples, self.images))
        return images

    def _codes(self, module: Training, split: Split) -> tuple[Tensor, Tensor]:
        chosen = self._choose(split, self.points)
        batches = (_at(module, split, rows) for rows in torch.split(chosen, 500))
        model = module.autoencoder.in_unit_range()
        means = [model.encode(x, y=y).mean.flatten(1) for x, y in batches]
        return chosen, torch.cat(means).float().cpu()

    def _choose(self, split: Split, count: int) -> Tensor:
        generator = Generator().manual_seed(self.seed)
        return balanced(split.labels, len(split), count, generator)


def _at(module: Training, split: Split, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
    """Pixels and labels on the device of the module and in its precision."""
    y = None if split.labels is None else split.labels[chosen].to(module.device)
    return split.pixels(chosen).to(module.autoencoder.like), y


def _names(split: Split, chosen: Tensor) -> list[str] | None:
    if split.labels is None:
        return None
    labels = split.labels[chosen].tolist()
    return [split.class_names[n] if split.class_names else str(n) for n in labels]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode for a while, then restore the mode of every module."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
