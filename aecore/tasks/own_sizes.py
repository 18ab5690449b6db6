"""Images of several sizes, each in its own, for tasks of fully convolutional models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aecore.config.terminal import say
from aecore.data.split import SizeGroup, Split
from aecore.errors import UserError
from aecore.model.any_size import AnySize
from aecore.tasks.use import Opened, OtherShapeError


@dataclass(frozen=True)
class SizedImages:
    """Images of one size or of several.

    all: with the names and labels of all images; without their pixels where sizes differ.
    groups: the images, a group for each size.
    reconstruct: pixels (n, C, H, W) of a group and labels (n,) or None -> their reconstructions.
    """

    all: Split
    groups: Sequence[SizeGroup]
    reconstruct: Callable[[Tensor, Tensor | None], Tensor]

    @property
    def paired(self) -> bool:
        """Whether they have targets."""
        return any(split.targets is not None for _, split in self.groups)

    @property
    def places(self) -> Tensor:
        """(N,) int64, where the images of the groups, one after the other, stand among all."""
        return torch.cat([group.places for group in self.groups])


def images_of_any_size(opened: Opened) -> SizedImages:
    """The images of the task, in the size of the training or, of a folder, each in its own.

    Raises UserError for images of other sizes if the model is not fully convolutional, and for
    those with other channels.
    """
    try:
        split = opened.images()
    except OtherShapeError as error:
        return _in_own_sizes(opened, error)
    return SizedImages(
        split, [SizeGroup(torch.arange(len(split)), split)], opened.ae.model.reconstruct
    )


def _in_own_sizes(opened: Opened, error: OtherShapeError) -> SizedImages:
    """error: why they cannot be used otherwise."""
    try:
        model = AnySize(opened.ae.model)
    except UserError as reason:
        raise error.with_hint(f"{error.hint}; {reason.hint}") from reason
    groups = _groups(opened, error)
    for _, split in groups:
        model.check(split.image_shape)
    order = torch.cat([group.places for group in groups]).argsort()
    ranks = torch.split(order.argsort(), [len(split) for _, split in groups])
    groups = [group._replace(places=places) for group, places in zip(groups, ranks, strict=True)]
    sizes = {split.image_shape for _, split in groups}
    size = "x".join(map(str, groups[0].split.image_shape[1:]))
    several = f"{len(sizes)} sizes, each in its own" if len(sizes) > 1 else f"{size}, in this size"
    say(f"images of {several}; the model was trained on {opened.ae.image_shape[1]}x"
        f"{opened.ae.image_shape[2]}")  # fmt: skip
    every = groups[0].split if len(groups) == 1 else _without_pixels(groups, order)
    return SizedImages(every, groups, lambda x, _: model.reconstruct(x))


def _groups(opened: Opened, error: OtherShapeError) -> list[SizeGroup]:
    """The images of each size."""
    data = opened.parts.data
    if opened.chooses_size or data.source.shape_mismatch(opened.ae.image_shape) is None:
        split = opened.loaded()
        return [SizeGroup(torch.arange(len(split)), split)]
    if opened.which("test") != "all" or data.classes is not None or data.binarise is not None:
        raise error
    sizes = data.source.each_size(data.data_dir)
    return [SizeGroup(places, opened.scaled(opened.classed(split))) for places, split in sizes]


def _without_pixels(groups: Sequence[SizeGroup], order: Tensor) -> Split:
    """Names and labels of all images in order."""
    first = groups[0].split
    names = [name for _, split in groups for name in split.names or ()]
    labels = [split.labels for _, split in groups if split.labels is not None]
    return replace(
        first,
        images=torch.empty(len(order), 0, 0, 0),
        labels=torch.cat(labels)[order] if labels else None,
        names=tuple(names[i] for i in order.tolist()) if names else None,
        rows=None,
        targets=None,
        factors=None,
    )
