"""A trained model and the images that it is evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Generator, Tensor

from aecore.data.split import Split, permutation
from aecore.errors import SkippedError
from aecore.evaluation.selection import balanced
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.base import Noise
from aecore.types import is_table


def _no_training_images() -> Split:
    raise SkippedError("the training images are not available")


@dataclass(frozen=True)
class Trial:
    """A trained model with the images to evaluate it on; what metrics and figures receive.

    model: in evaluation mode, on the device on which all is computed.
    images: to be measured and shown, with their labels where they have some.
    name: of the images, with which the names of metrics begin: their split, or their data set.
    seed: decides which images are taken where not all are, and what is drawn.
    batch_size: images that the model sees at once.
    read_training: reads the images that the model was trained on; see `training`.
    ood: images unlike those trained on, of the same shape, by the name of their data set or
        `other_classes`.
    noise: what figures corrupt images with, or None.
    history: of the training, one row per epoch: `epoch`, `train/loss`, `val/loss`, ...
    cache: a folder for what is slow to compute from the data and equal in every run, or None.
    """

    model: Autoencoder
    images: Split
    name: str = "test"
    seed: int = 0
    batch_size: int = 1000
    read_training: Callable[[], Split] = _no_training_images
    ood: Mapping[str, Split] = field(default_factory=dict)
    noise: Noise | None = None
    history: Sequence[Mapping[str, float]] = ()
    cache: Path | None = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.model.shift.device

    @property
    def training(self) -> Split:
        """The training images; raises SkippedError where they are not available."""
        return self.read_training()

    @property
    def is_table(self) -> bool:
        """Whether an "image" is one row of a table, (1, 1, D)."""
        return is_table(self.model.image_shape)

    def in_unit_range(self) -> Trial:
        """The same trial with pixels scaled to [0, 1]; itself where they lie there.

        Images outside it, as spectrograms in dB, are measured and drawn over the range of the
        training images; black and white of other data sets of 8 bits are its ends.
        """
        limits = self.model.limits
        if limits is None:
            return self
        return replace(
            self,
            model=self.model.in_unit_range(),
            images=self.images.rescaled(limits),
            read_training=lambda: self.read_training().rescaled(limits),
            ood={name: split.rescaled(limits) for name, split in self.ood.items()},
        )

    def generator(self) -> Generator:
        """A fresh generator on the device: every metric and figure draws the same numbers."""
        return Generator(device=self.device).manual_seed(self.seed)

    def batches(self, size: int | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """All images in order, pixels (n, C, H, W), and labels (n,) or None, on the device.

        size: of a batch, at most; None for the batch size of the trial.
        """
        for index in torch.split(torch.arange(len(self)), size or self.batch_size):
            yield self._at(index)

    def pairs(self, size: int | None = None) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """As `batches`, with what the outputs are compared with: the targets, or the images."""
        images = self.batches(size)
        if self.images.targets is None:
            yield from ((x, y, x) for x, y in images)
            return
        targets = self.of_targets.batches(size)
        yield from ((x, y, t) for (x, y), (t, _) in zip(images, targets, strict=True))

    @property
    def of_targets(self) -> Trial:
        """The trial with targets as its images, of training too; where there are none, as it is."""
        if self.images.targets is None:
            return self
        return replace(
            self,
            images=self.images.of_targets,
            read_training=lambda: self.read_training().of_targets,
        )

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        """All images at once, pixels (N, C, H, W), and labels (N,) or None, on the device."""
        return self._at(torch.arange(len(self)))

    def pair(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """All images at once, as `pairs`."""
        return next(self.pairs(len(self)))

    def codes(self) -> Tensor:
        """The mean codes of all images, flattened: (N, D) on the CPU."""
        means = [self.model.encode(x, y=y).mean.flatten(1).cpu() for x, y in self.batches()]
        return torch.cat(means)

    @torch.no_grad()
    def indices(self) -> Tensor:
        """The codebook indices of all images, flattened: (N, places) int64 on the CPU.

        Raises SkippedError for continuous codes.
        """
        if self.model.latent.codebook_size is None:
            raise SkippedError("the code is continuous, it has no codebook")
        batches = [self.model.encode(x, y=y).indices for x, y in self.batches()]
        return torch.cat([part.flatten(1).cpu() for part in batches if part is not None])

    def reconstructions(self) -> Tensor:
        """The reconstructions of all images, (N, C, H, W) on the device."""
        return torch.cat([self.model.reconstruct(x, y) for x, y in self.batches()])

    def on(self, images: Split) -> Trial:
        """The same model with other images."""
        return replace(self, images=images)

    def at(self, index: Tensor) -> Trial:
        """The trial with the images at `index` (M,) int64 alone, in that order."""
        return self.on(self.images.subset(index.to(self.images.images.device)))

    def first(self, count: int) -> Trial:
        """The trial with the first `count` images, all where there are fewer."""
        return self if count >= len(self) else self.at(torch.arange(count))

    def sample(self, count: int) -> Trial:
        """The trial with up to `count` images in an order drawn by the seed."""
        return self.at(permutation(len(self), self.seed)[:count])

    def at_most(self, count: int | None) -> Trial:
        """The trial with a sample of `count` images, all in order where there are fewer.

        count: None for all.
        """
        return self if count is None or count >= len(self) else self.sample(count)

    def balanced(self, count: int) -> Trial:
        """The trial with up to `count` images drawn by the seed, evenly over the classes."""
        return self.at(balanced(self.images.labels, len(self), count, self.generator()))

    def _at(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        split = self.images
        labels = None if split.labels is None else split.labels[index].to(self.device)
        return split.pixels(index.to(split.images.device)).to(self.device), labels


def noun_of(shape: Sequence[int]) -> str:
    """`rows` for a table of shape (C, H, W), else `images`; for labels and messages."""
    return "rows" if is_table(shape) else "images"


def element_of(shape: Sequence[int]) -> str:
    """`feature` for a table of shape (C, H, W), else `pixel`; for labels and messages."""
    return "feature" if is_table(shape) else "pixel"


def scaled_note(limits: Tensor) -> str:
    """One line on pixels that are scaled to [0, 1]; limits: (2,) those of the training images."""
    low, high = limits.tolist()
    return f"pixels lie in [{low:.6g}, {high:.6g}]; metrics and figures scale this range to [0, 1]"


def need_no_targets(trial: Trial) -> None:
    """Raise SkippedError for images with targets."""
    if trial.images.targets is not None:
        raise SkippedError("it compares outputs with their inputs, and these images have targets")


def need_images(trial: Trial) -> None:
    """Raise SkippedError for tables."""
    if trial.is_table:
        raise SkippedError("the rows of a table are no images")


def need_decoder(trial: Trial) -> None:
    """Raise SkippedError for a network that cannot decode a code alone."""
    if trial.model.needs_context:
        raise SkippedError("this network decodes only the codes of images, no others")


def need_no_classes(trial: Trial) -> None:
    """Raise SkippedError for a class-conditional model, where images have no labels it knows."""
    if trial.model.classes is not None:
        raise SkippedError("the model is class-conditional, and other images have no such classes")


def same_images(trials: Mapping[str, Trial]) -> Trial:
    """The first trial, whose images all others have too; SkippedError where they do not."""
    first, *others = trials.values()
    if not all(equal_images(trial.images, first.images) for trial in others):
        raise SkippedError("the runs were tested on different images")
    return first


def equal_images(images: Split, others: Split) -> bool:
    """Whether two splits have the same images in the same order, whatever else differs."""
    if images is others:
        return True
    return all(
        torch.equal(some.pixels().cpu(), same.pixels().cpu())
        for some, same in ((images, others), (images.of_targets, others.of_targets))
    )
