"""What a figure may look at, and how it says that it does not apply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.figures.animation import Animation
from aecore.model.conditioning import in_parts
from aecore.model.noise.base import Noise
from aecore.types import is_table

if TYPE_CHECKING:
    from aecore.model.autoencoder import Autoencoder

_BATCH = 512  # images encoded at once, so that a large test set needs little memory


@dataclass(frozen=True)
class View:
    """A trained model with the images to try it on.

    model: in evaluation mode, on the device of `images`.
    images: (N, C, H, W) float32 pixels in [0, 1]; tables are (N, 1, 1, D), in their own units.
    labels: (N,) int64 on the device of `images`, or None.
    class_names: the name of label 0, 1, ...; None where classes have none.
    history: one row an epoch: `epoch`, `train/loss`, `val/loss`, `train/TERM`, ...
    seed: decides which images are shown and what is sampled.
    training: what the model was trained on, as it is stored, or None.
    noise: what images are tried with: the evaluation's noise, else the training's; None for none.
    ood: images (K, C, H, W) unlike those it was trained on, of other data sets or classes, by name.
    name: of the images: their split, or their data set where that is another.
    """

    model: Autoencoder
    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    seed: int = 0
    training: Split | None = None
    noise: Noise | None = None
    ood: Mapping[str, Tensor] = field(default_factory=dict)
    name: str = "test"

    def generator(self) -> Generator:
        """A fresh generator on the device of the images: every figure draws the same numbers."""
        return Generator(device=self.images.device).manual_seed(self.seed)

    @property
    def is_table(self) -> bool:
        """Whether an "image" is one row of a table, (1, 1, D)."""
        return is_table(self.images.shape[1:])

    @property
    def things(self) -> str:
        """What the images are called, `images` or `rows`."""
        return things(self.images.shape[1:])

    @property
    def per(self) -> str:
        """What errors are told for: a `pixel`, or a `number` of a table."""
        return per(self.images.shape[1:])

    def at(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """The images at `index` (M,) int64, and their labels where they have some."""
        index = index.to(self.images.device)
        return self.images[index], None if self.labels is None else self.labels[index]

    def codes(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Mean codes of (N, C, H, W) pixels, each flattened: (N, D) float32 on the CPU."""
        parts = in_parts(images, labels, _BATCH)
        means = [self.model.encode(x, y=y).mean.flatten(1) for x, y in parts]
        return torch.cat(means).float().cpu()

    def reconstructions(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the model makes of (N, C, H, W) pixels, in batches: the same shape."""
        parts = in_parts(images, labels, _BATCH)
        return torch.cat([self.model.reconstruct(x, y) for x, y in parts])

    def class_name(self, label: int) -> str:
        """The name of a class, its number where it has none."""
        names = self.class_names or ()
        return names[label] if 0 <= label < len(names) else str(label)


class Picture(ABC):
    """A figure of a model: a pure function of what it looks at.

    sees_training: whether it looks at the training images, where the view has them.
    """

    sees_training = False

    @abstractmethod
    def __call__(self, view: View) -> Figure | Animation:
        """Draw; raises NotApplicable with a reason where there is nothing to show."""

    def together(self, views: Mapping[str, View]) -> Figure | None:
        """Draw several runs, by their names, in one figure; None leaves that to tiling.

        Tiling sets the pictures that the runs drew side by side. Overridden where one scale or one
        plot says more. A view may be opened only when it is looked at, so look at none in vain.
        Raises NotApplicable where these runs cannot be drawn jointly.
        """
        return None


def things(shape: Sequence[int]) -> str:
    """What images of a shape (C, H, W) are called: those of a table are its `rows`."""
    return "rows" if is_table(shape) else "images"


def per(shape: Sequence[int]) -> str:
    """What an error of images of a shape (C, H, W) is told for: a table has no `pixel`."""
    return "number" if is_table(shape) else "pixel"


def need_images(view: View) -> None:
    """Raise NotApplicable for tables."""
    if view.is_table:
        raise NotApplicable("the rows of a table have no picture")


def same_images(views: Mapping[str, View]) -> View:
    """The first view, whose images all others show too; NotApplicable where they do not."""
    first, *others = views.values()
    device = first.images.device
    if any(v.images.device != device or not torch.equal(v.images, first.images) for v in others):
        raise NotApplicable("the runs were tested on different images")
    return first


def need_decoder(view: View) -> None:
    """Raise NotApplicable for a network that cannot decode a code alone."""
    if view.model.needs_context:
        raise NotApplicable("this network decodes only the codes of images, no others")


def need_no_classes(view: View) -> None:
    """Raise NotApplicable for a model that must be told classes, where images have none."""
    if view.model.classes is not None:
        raise NotApplicable("the model is told classes, of which other images have none")


def spread(labels: Tensor | None, total: int, count: int, generator: Generator) -> Tensor:
    """Positions of up to `count` of `total` images, shuffled, as many of each class as can be.

    Neighbours are of different classes as long as two classes have images left.

    labels: (total,) int64, or None: any images.
    Returns (min(count, total),) int64 on the CPU.
    """
    order = torch.randperm(total, generator=generator, device=generator.device).cpu()
    if labels is None:
        return order[:count]
    classes, kinds = torch.unique(labels.cpu()[order], return_inverse=True)
    turn = torch.randperm(len(classes), generator=generator, device=generator.device).cpu()
    by_class = kinds.argsort(stable=True)
    sizes = torch.bincount(kinds, minlength=len(classes))
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    rank = torch.empty_like(kinds)
    rank[by_class] = torch.arange(total) - starts  # the how manyth of its class
    return order[(rank * len(classes) + turn[kinds]).argsort()[:count]]
