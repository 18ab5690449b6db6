"""Class-conditional autoencoders: the class is an input of encoder and decoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.errors import ConfigError, UserError, short
from aecore.model.networks.base import flat
from aecore.types import ImageShape, Shape

PLANES = "condition.planes.weight"  # of an autoencoder's weights: (classes, pixels)
_MOST = 2**20  # classes
_SPREAD = 0.1  # initial standard deviation of a class plane


class Conditioning(nn.Module):
    """Conditions q(z | x, y) and p(x | z, y) on the class y of an image (Sohn et al. 2015, CVAE).

    The input of the encoder has an additional channel, a learned plane for each class; that of the
    decoder the one-hot class (for feature maps, constant channels).

    classes: number of classes; labels are 0 ... classes - 1. image_shape: (C, H, W).
    """

    def __init__(self, classes: int, image_shape: ImageShape) -> None:
        super().__init__()
        if type(classes) is not int or not 1 <= classes < _MOST:
            raise UserError(f"classes={short(classes)}: must be an integer from 1 to {_MOST - 1}")
        self.classes = classes
        channels, *self.side = image_shape
        self.planes = nn.Embedding(classes, flat(tuple(self.side)))
        nn.init.normal_(self.planes.weight, std=_SPREAD)
        self.image_shape: ImageShape = (channels + 1, image_shape[1], image_shape[2])

    def code_shape(self, shape: Shape) -> Shape:
        """The input shape of the decoder for codes of this shape."""
        return (shape[0] + self.classes, *shape[1:])

    def with_class_plane(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (N, C, H, W) in the model's range and classes (N,) -> (N, C + 1, H, W)."""
        return torch.cat([x, self.planes(y).view(-1, 1, *self.side).to(x.dtype)], 1)

    def with_one_hot(self, z: Tensor, y: Tensor) -> Tensor:
        """Codes (N, D, ...) and classes (N,) -> (N, D + classes, ...)."""
        one_hot = F.one_hot(y, self.classes).to(z.dtype)
        one_hot = one_hot.reshape(*one_hot.shape, *[1] * (z.dim() - 2))
        return torch.cat([z, one_hot.expand(-1, -1, *z.shape[2:])], 1)


def need_labels(y: Tensor | None) -> Tensor:
    """The labels; raises ConfigError if there are none."""
    if y is None:
        hint = "pass those of the images, or use conditional=false"
        raise ConfigError("conditional", True, "this needs class labels", hint)
    return y


def in_parts(x: Tensor, y: Tensor | None, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images (N, ...) and their labels (N,), if any, in chunks of `size`."""
    parts = torch.split(x, size)
    labels = [None] * len(parts) if y is None else torch.split(y, size)
    yield from zip(parts, labels, strict=True)
