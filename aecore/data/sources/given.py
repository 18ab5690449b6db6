"""Images that were given in Python."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from aecore.data.pixels import Array, as_floats, as_images, as_labels, as_tensor
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError
from aecore.types import ImageShape

_CHANNELS = (1, 3, 4)


@final
class Given(Source):
    """Images in memory, which no file keeps; train and test are the same.

    A run that was trained on them records that they were given, and no more.
    """

    images: Split | None = None

    @classmethod
    def of(cls, images: Split) -> Given:
        """The source of these images."""
        source = cls()
        source.images = images
        return source

    def load(self, split: Which, data_dir: Path) -> Split:
        """The images; UserError where a recorded run asks for them."""
        if self.images is None:
            raise UserError(
                "dataset: this run was trained on images that were given in Python, and not kept",
                "say which images to use: dataset=arrays dataset.path=FILE, dataset=mnist, ...",
            )
        return self.images

    @override
    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        images = self.load("test", data_dir)
        return images, torch.arange(len(images))

    @override
    def white_hint(self, largest: float) -> str:
        if self.images is not None and self.images.has_levels:
            return f"give floats, images / {255 * largest:g}, if that is white"
        return super().white_hint(largest)


def given_split(
    images: Array,
    labels: Array | None,
    shape: ImageShape | None = None,
    classes: int | None = None,
    any_range: bool = False,
    targets: Array | None = None,
) -> Split:
    """Images and labels as a user holds them, on the CPU; uint8 stays as it is.

    images: (N, C, H, W), (N, H, W) or the rows of a table (N, D). shape: that they must have,
    None for their own. classes: how many labels there must be, None
    for any or none. any_range: whether floats outside [0, 1] may be. targets: as the images, what
    outputs are compared with.
    Raises UserError for other shapes, kinds and ranges of numbers.
    """
    x = as_tensor(images, "images").cpu()
    turning = "permute" if isinstance(images, Tensor) else "transpose"
    x = as_images(x, _shape_of(x, turning) if shape is None else shape)
    if not x.numel():
        raise UserError(f"images: there are none, or they have no pixels: {tuple(x.shape)}")
    x = x if x.dtype == torch.uint8 else as_floats(x, any_range)
    known = labels is not None or classes is not None
    y = as_labels(labels, len(x), classes).cpu() if known else None
    if targets is None:
        return Split(x, y)
    try:
        compared = given_split(targets, None, any_range=any_range).images
    except UserError as error:
        raise UserError(f"targets: {error.summary}", error.hint) from error
    if compared.shape != x.shape:
        given, wanted = tuple(compared.shape), tuple(x.shape)
        raise UserError(f"targets of shape {given}: these images need {wanted}")
    return Split(x, y, targets=compared)


def _shape_of(x: Tensor, turning: str) -> ImageShape:
    """(C, H, W) of images that are yet without channels, of rows, or as they are.

    turning: what puts axes in another order where the images come from.
    """
    shape = tuple(x.shape)
    match shape:
        case (_, width):
            return 1, 1, width
        case (_, height, width):
            return 1, height, width
        case (_, channels, height, width):
            if channels not in _CHANNELS and width in _CHANNELS:
                raise UserError(
                    f"images of shape {shape}: the channels come first, (N, C, H, W)",
                    f"images.{turning}(0, 3, 1, 2) puts them there",
                )
            return channels, height, width
        case _:
            raise UserError(
                f"images of shape {shape}: give (N, C, H, W), (N, H, W), or a table (N, D)"
            )
