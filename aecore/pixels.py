"""Images as users hold them, checked and turned into what a model sees."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aecore.errors import UserError
from aecore.types import ImageShape, Shape

Array = Any  # a torch.Tensor, a NumPy array, or what numpy.asarray makes one of
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it


def as_pixels(images: Array, shape: ImageShape, any_range: bool = False) -> Tensor:
    """Images as (N, C, H, W) float32, on their device: uint8 0..255 become [0, 1].

    images: (N, C, H, W); also (N, H, W) of one channel, rows (N, D) of a table, and flat images
    (N, C*H*W). shape: what the model takes. any_range: whether floats outside [0, 1] may be.
    Raises UserError for other shapes, kinds and ranges of numbers.
    """
    x = as_images(images, shape)
    return x.to(torch.float32) / 255 if x.dtype == torch.uint8 else as_floats(x, any_range)


def as_images(images: Array, shape: ImageShape) -> Tensor:
    """Images as (N, C, H, W), their numbers as they are; UserError for other shapes."""
    x = as_tensor(images, "images")
    flat = shape[0] * shape[1] * shape[2]
    if x.dim() == 2 and x.shape[1] == flat:
        x = x.reshape(-1, *shape)
    elif x.dim() == 3 and shape[0] == 1 and tuple(x.shape[1:]) == shape[1:]:
        x = x[:, None]
    if x.dim() != 4 or tuple(x.shape[1:]) != shape:
        raise UserError(_wrong_shape(tuple(x.shape), shape))
    return x


def as_floats(x: Tensor, any_range: bool = False) -> Tensor:
    """Numbers as float32, in [0, 1] unless `any_range`; UserError for other kinds and ranges."""
    counted = any_range and not x.is_complex()  # whole numbers, of a table say
    if not (x.is_floating_point() or x.dtype == torch.bool or counted):
        raise UserError(
            f"images hold {x.dtype}: not clear what white is\n"
            "  give uint8 from 0 to 255, or floats from 0 to 1"
        )
    x = x.to(torch.float32)
    if len(x) and not torch.isfinite(x).all():
        raise UserError("images hold NaN or infinite numbers\n  leave those out")
    if len(x) and not any_range and (x.min() < 0 or x.max() > 1):
        raise UserError(
            f"images lie in [{float(x.min()):.4g}, {float(x.max()):.4g}], this model takes [0, 1]\n"
            "  divide by 255, or give uint8"
        )
    return x


def as_codes(codes: Array, shape: Shape, like: Tensor) -> Tensor:
    """Codes as (N, *shape) on the device and of the type of `like`; flat ones (N, D) will do.

    Raises UserError for others.
    """
    z = as_tensor(codes, "codes")
    flat = int(np.prod(shape))
    if tuple(z.shape[1:]) not in (shape, (flat,)):
        expected = ", ".join(str(n) for n in ("N", *shape))
        raise UserError(
            f"codes of shape {tuple(z.shape)}: this model's are ({expected})"
            + ("" if len(shape) == 1 else f", or flat (N, {flat})")
        )
    z = z.to(like.device, like.dtype)
    if not torch.isfinite(z).all():
        raise UserError("codes hold NaN or infinite numbers\n  leave those out")
    return z.reshape(-1, *shape)


def as_labels(labels: Array | None, n: int, classes: int | None = None) -> Tensor:
    """(n,) int64 labels, 0, 1, ... below `classes`; UserError for others, and for none."""
    if labels is None:
        upto = "" if classes is None else f", from 0 to {classes - 1}"
        raise UserError(f"this model is told the class of each image: give labels{upto}")
    y = as_tensor(labels, "labels")
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    top = "" if classes is None else f" to {classes - 1}"
    fits = whole and tuple(y.shape) == (n,)
    if not fits or (n and (y.min() < 0 or (classes is not None and y.max() >= classes))):
        raise UserError(f"labels: {n} whole numbers from 0{top} are needed, one an image")
    return y.to(torch.int64)


def as_tensor(values: Array, what: str) -> Tensor:
    """A tensor without gradient; UserError where these are no numbers of one shape."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        array = np.asarray(values)
        with warnings.catch_warnings(action="ignore"):  # of read-only arrays, which stay so
            return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: {error}\n  give one array of numbers") from error


def resized(pixels: Tensor, shape: ImageShape) -> Tensor:
    """Pixels (N, C, H, W) in [0, 1] as images of another shape, (N, *shape).

    The shorter side is fitted and the centre cut out, antialiased; grey is the luma of colours.
    """
    if pixels.shape[1] != shape[0]:
        luma = pixels.new_tensor(_GREY).view(1, 3, 1, 1)
        grey = (pixels * luma).sum(1, keepdim=True) if pixels.shape[1] == 3 else pixels[:, :1]
        pixels = grey.expand(-1, shape[0], -1, -1)
    height, width = pixels.shape[2:]
    if (height, width) == shape[1:]:
        return pixels
    scale = max(shape[1] / height, shape[2] / width)
    fitted = max(round(height * scale), shape[1]), max(round(width * scale), shape[2])
    pixels = F.interpolate(pixels, size=fitted, mode="bicubic", antialias=True).clamp_(0, 1)
    top, left = (fitted[0] - shape[1]) // 2, (fitted[1] - shape[2]) // 2
    return pixels[:, :, top : top + shape[1], left : left + shape[2]]


def _wrong_shape(found: tuple[int, ...], shape: ImageShape) -> str:
    mend = "aecore.resized(images, model.image_shape) converts"
    if found == shape:
        mend = "add an axis for one image: images[None]"
    elif len(found) == 4 and (found[3], *found[1:3]) == shape:
        mend = "put the channels first: images.transpose(0, 3, 1, 2)"
    expected = ", ".join(str(n) for n in ("N", *shape))
    return f"images of shape {found}: this model takes ({expected})\n  {mend}"
