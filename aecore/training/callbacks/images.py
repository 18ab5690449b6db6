"""Images of an autoencoder in training, for loggers that take them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from aecore.data.module import ImageData
from aecore.evaluation.figures.grid import tile
from aecore.evaluation.selection import class_names
from aecore.evaluation.trial import Trial
from aecore.training.loggers.base import RunLogger
from aecore.training.module import Training


@dataclass(eq=False, kw_only=True)
class Images(Callback):
    """Logs reconstructions of the same validation images, samples and codes during training.

    After the epochs 1, 2, 4, 8, ... and at the end: reconstructions (with the noisy input where
    there is noise, and with the targets where there are some), samples from the same draws of the
    prior, and a histogram of each dimension of the code. At the end: the codes for the projector.
    Only for loggers with `takes_images`.

    The random state of training and the train or eval mode of each module stay as they were.

    images: per row. dims: latent dimensions with a histogram, at most.
    points: images encoded for histograms and projector. seed: of the choice of images and draws.
    """

    images: int
    dims: int
    points: int
    seed: int
    _last_step: int = field(default=-1, init=False)

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
        loggers = [x for x in trainer.loggers if isinstance(x, RunLogger) and x.takes_images]
        if not loggers or not trainer.is_global_zero:
            return
        module = cast(Training, pl_module)
        data = cast(ImageData, trainer.datamodule)  # type: ignore[attr-defined]
        split, step = data.test if data.val is None else data.val, module.step
        trial = Trial(module.evaluated, split, seed=self.seed, batch_size=500).in_unit_range()
        some, logged_before = trial.balanced(self.points), step == self._last_step
        with evaluating(trial.model):
            images = {} if logged_before or trial.is_table else self._images(trial)
            codes = some.codes().float()
        for logger in loggers:
            for tag, image in images.items():
                logger.image(tag, image, step)
            if not logged_before:
                for dim in range(min(self.dims, codes.shape[1])):
                    logger.histogram(f"code/{dim:02d}", codes[:, dim], step)
            if last:
                thumbnails = None if trial.is_table else some.images.pixels()
                logger.embedding(codes, class_names(some.images), thumbnails, step)
        self._last_step = step

    def _images(self, trial: Trial) -> dict[str, Tensor]:
        model, generator = trial.model, trial.generator()
        x, y, target = trial.balanced(self.images).pair()
        noisy = [model.corrupt(x, generator)] if model.noise.active else []
        rows = [x, *noisy, model.reconstruct(x, y), *([] if target is x else [target])]
        images = {"reconstructions": tile(rows)}
        if model.can_sample:
            count = 2 * self.images
            classes = None if y is None else y[torch.arange(count, device=y.device) % len(y)]
            samples = model.sample(count, trial.generator(), classes)
            images["samples"] = tile(torch.split(samples, self.images))
        return images


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
