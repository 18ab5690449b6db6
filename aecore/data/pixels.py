"""Checks images of users and converts them to pixels."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aecore.data.split import to_float
from aecore.errors import UserError, short
from aecore.types import ImageShape, Shape, is_table

Array = Any  # a torch.Tensor, a NumPy array, or what numpy.asarray makes one of
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it
_BYTE = 255
_CHANNELS = (1, 2, 3, 4)  # grey and colours, each with or without transparency
_LAST = (1, 3, 4)  # of images as Pillow and matplotlib have them
_OVERSHOOT = 0.5  # tolerance of pixels outside [0, 1]
_NUMBERS = "biufc"  # the kinds of NumPy's numbers


def as_pixels(
    images: Array, shape: ImageShape, any_range: bool = False, limits: Tensor | None = None
) -> Tensor:
    """Images as (N, C, H, W) float32, on their device: uint8 0..255 become [0, 1].

    images: (N, C, H, W); also (N, H, W) of one channel, rows (N, D) of a table, and flat images
    (N, C*H*W). shape: what the model takes. any_range: whether floats outside [0, 1] may be.
    limits: (2,) what black and white of uint8 become in place of 0 and 1.
    Raises UserError for other shapes, kinds and ranges of numbers.
    """
    x = as_images(images, shape)
    if x.dtype != torch.uint8:
        return as_floats(x, any_range)
    low, high = (0.0, 1.0) if limits is None else limits.tolist()
    return low + x.to(torch.float32) / _BYTE * (high - low)


def as_images(images: Array, shape: ImageShape) -> Tensor:
    """Images as (N, C, H, W), their numbers as they are; UserError for other shapes."""
    x = as_tensor(images, "images")
    flat = shape[0] * shape[1] * shape[2]
    if x.dim() == 2 and x.shape[1] == flat:
        x = x.reshape(len(x), *shape)
    elif x.dim() == 3 and shape[0] == 1 and tuple(x.shape[1:]) == shape[1:]:
        x = x[:, None]
    if x.dim() != 4 or tuple(x.shape[1:]) != shape:
        raise _wrong_shape(images, tuple(x.shape), shape)
    return x


def as_floats(x: Tensor, any_range: bool = False) -> Tensor:
    """Numbers as floats, see `to_float`, in [0, 1] unless `any_range`; UserError for others.

    x: (N, C, H, W).
    """
    counted = any_range and not x.is_complex()  # whole numbers, of a table say
    if not (x.is_floating_point() or x.dtype == torch.bool or counted):
        raise UserError(
            f"images hold {x.dtype}: not clear what white is",
            "give uint8 from 0 to 255, or floats from 0 to 1",
        )
    x = to_float(x)
    if x.numel() and not torch.isfinite(x).all():
        raise UserError("images hold NaN or infinite numbers", "leave those out")
    if x.numel() and not any_range and (x.min() < 0 or x.max() > 1):
        low, high = float(x.min()), float(x.max())
        raise UserError(
            f"images lie in [{low:.4g}, {high:.4g}], this model takes [0, 1]",
            f"{range_hint(low, high)}",
        )
    return x


def range_hint(low: float, high: float, name: str = "images") -> str:
    """How to rescale such values to [0, 1]."""
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return f"clip them: {name}.clip(0, 1)"
    if low < 0:
        return f"bring them there: ({name} + 1) / 2 where they are meant to lie in [-1, 1]"
    if high <= 16:
        return "divide by the number that is white: 16 in scikit-learn's digits"
    if high <= _BYTE:
        return "divide by 255, or give uint8"
    return "divide by the number that is white: 65535 where pixels have 16 bits"


def as_codes(codes: Array, shape: Shape, like: Tensor) -> Tensor:
    """Codes as (N, *shape) on the device and of the type of `like`; flat ones (N, D) will do.

    Raises UserError for others.
    """
    z = as_tensor(codes, "codes")
    if z.is_complex():
        raise UserError("codes hold complex numbers", "give real ones")
    flat = math.prod(shape)
    if tuple(z.shape[1:]) not in (shape, (flat,)):
        expected = ", ".join(str(n) for n in ("N", *shape))
        one = tuple(z.shape) in (shape, (flat,))
        raise UserError(
            f"codes of shape {tuple(z.shape)}: this model's are ({expected})"
            + ("" if len(shape) == 1 else f", or flat (N, {flat})"),
            "add an axis for one code: codes[None]" if one else None,
        )
    z = z.to(like.device, like.dtype)
    if not torch.isfinite(z).all():
        raise UserError("codes hold NaN or infinite numbers", "leave those out")
    return z.reshape(-1, *shape)


def as_labels(labels: Array | None, n: int, classes: int | None = None) -> Tensor:
    """(n,) int64 labels, 0, 1, ... below `classes`; UserError for others, and for none."""
    if labels is None:
        upto = "" if classes is None else f", from 0 to {classes - 1}"
        raise UserError(f"this model is class-conditional: give labels{upto}")
    y = as_tensor(labels, "labels")
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    top = "" if classes is None else f" to {classes - 1}"
    fits = whole and tuple(y.shape) == (n,)
    if not fits or (n and (y.min() < 0 or (classes is not None and y.max() >= classes))):
        raise UserError(f"labels: {n} whole numbers from 0{top} are needed, one an image")
    return y.to(torch.int64)


def as_tensor(values: Array, what: str) -> Tensor:
    """A tensor without gradient; UserError where these are no numbers of one shape."""
    for value in values if isinstance(values, list | tuple) else [values]:
        _need_all_values(value, what)
    if isinstance(values, Tensor):
        return values.detach()
    try:
        array = np.asarray(values)
    except RuntimeError as error:  # of a list of tensors
        raise UserError(f"{what}: {error}", "give one tensor") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: not all of one shape", "give one array of numbers") from error
    if array.dtype.kind not in _NUMBERS:
        raise UserError(f"{what}={short(values)}: no numbers", "give one array of numbers")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    try:
        with warnings.catch_warnings(action="ignore"):  # of read-only arrays, which stay so
            return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    except TypeError as error:  # of 16 bytes each, say
        raise UserError(f"{what} hold {array.dtype}", "give float32 or float64") from error


def _need_all_values(values: Array, what: str) -> None:
    """Raise UserError for arrays that do not hold every value: sparse and masked ones."""
    if isinstance(values, Tensor) and values.layout != torch.strided:
        raise UserError(f"{what} are a sparse tensor", f"give {what}.to_dense()")
    if np.ma.isMaskedArray(values):
        raise UserError(f"{what} are a masked array", f"give {what}.filled(0), or other values")


def like_given(given: Array, result: Tensor) -> Any:
    """A tensor on the device of the one given, else a NumPy array."""
    return result.to(given.device) if isinstance(given, Tensor) else result.cpu().numpy()


def resized(images: Array, shape: ImageShape) -> Any:
    """Images as ones of another shape, (N, *shape) float32 in [0, 1]; arrays give arrays.

    images: (N, C, H, W) or (N, H, W), uint8 0..255 or floats. shape: (C, H, W), such as
    `ae.image_shape`. The shorter side is fitted and the centre cut out, antialiased; grey is the
    luma of colours, and transparency is left out. Floats outside [0, 1] stay where they are.
    Raises UserError for what is no such array, and for the rows of a table.
    """
    shape = check_shape(shape)
    x = as_tensor(images, "images")
    if not _convertible(tuple(x.shape), shape):
        raise _not_resized(images, tuple(x.shape), shape)
    x = x[:, None] if x.dim() == 3 else x
    x = x / _BYTE if x.dtype == torch.uint8 else as_floats(x, any_range=x.is_floating_point())
    return like_given(images, _fitted(_coloured(x, shape[0]), shape))


def _coloured(x: Tensor, channels: int) -> Tensor:
    """Images (N, C, H, W) with this number of channels."""
    if x.shape[1] == channels:
        return x
    if x.shape[1] < 3:
        return x[:, :1].expand(-1, channels, -1, -1)
    colours = x[:, :3]
    if channels == 3:
        return colours
    grey = (colours * x.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return grey.expand(-1, channels, -1, -1)


def resized_masks(masks: Tensor, shape: ImageShape) -> Tensor:
    """Masks (N, 1, H, W) bool of images that `resized` makes (C, H', W'): (N, 1, H', W') bool.

    Each pixel is the nearest one, at the place where `resized` puts the image.
    """
    return _fitted(masks.float(), shape, "nearest-exact").bool()


def _fitted(x: Tensor, shape: ImageShape, mode: str = "bicubic") -> Tensor:
    """Images (N, C, H, W) as high and wide as that; bicubic is antialiased."""
    height, width = x.shape[2:]
    if (height, width) == shape[1:]:
        return x
    if not len(x):
        return x.new_empty(0, x.shape[1], *shape[1:])
    low, high = min(0.0, float(x.min())), max(1.0, float(x.max()))
    scale = max(shape[1] / height, shape[2] / width)
    whole = max(round(height * scale), shape[1]), max(round(width * scale), shape[2])
    x = F.interpolate(x, size=whole, mode=mode, antialias=mode == "bicubic").clamp_(low, high)
    top, left = (whole[0] - shape[1]) // 2, (whole[1] - shape[2]) // 2
    return x[:, :, top : top + shape[1], left : left + shape[2]]


def _wrong_shape(images: Array, found: tuple[int, ...], shape: ImageShape) -> UserError:
    hint = _shape_hint(images, found, shape)
    if is_table(shape):
        expected = f"rows (N, {shape[2]})"
    else:
        expected = f"(N, {', '.join(map(str, shape))})"
        expected += f" or (N, {shape[1]}, {shape[2]})" if shape[0] == 1 else ""
    return UserError(f"images of shape {found}: this model takes {expected}", hint or None)


def _not_resized(images: Array, found: tuple[int, ...], shape: ImageShape) -> UserError:
    if is_table(shape):
        return UserError(f"image_shape={shape}: a table", "rows cannot be converted")
    hint = _shape_hint(images, found, shape) or "give (N, C, H, W), or (N, H, W) of grey ones"
    return UserError(f"images of shape {found} cannot be converted", hint)


def _shape_hint(images: Array, found: tuple[int, ...], shape: ImageShape) -> str:
    """A hint for images of another shape; empty if there is none."""
    code = "images" if isinstance(images, Tensor | np.ndarray) else "np.asarray(images)"
    turned = _turned(found)
    if turned:
        axes = "0, 3, 1, 2" if len(found) == 4 else "2, 0, 1"
        code += f".{'permute' if isinstance(images, Tensor) else 'transpose'}({axes})"
        found = (*found[:-3], found[-1], *found[-3:-1])
    one = found in (shape, shape[1:] if shape[0] == 1 else shape, (math.prod(shape),))
    if one or (turned and len(found) == 3):
        code, found = f"{code}[None]", (1, *found)
    if one:
        return f"add an axis for one image: {code}"
    if found[1:] == shape:
        return f"put the channels first: {code}"
    return f"aecore.resized({code}, {shape}) converts" if _convertible(found, shape) else ""


def _turned(found: tuple[int, ...]) -> bool:
    """Whether the channels come last, in images or in one."""
    if len(found) not in (3, 4):
        return False
    return found[-1] in _LAST and found[-2] not in _LAST and found[-3] not in _CHANNELS


def _convertible(found: tuple[int, ...], shape: ImageShape) -> bool:
    """Whether `resized` takes images of that shape, and makes some of that one."""
    full = (found[0], 1, *found[1:]) if len(found) == 3 else found
    if len(full) != 4 or full[1] not in _CHANNELS or 0 in full[2:] or _turned(found):
        return False
    return not (is_table(shape) or is_table(full[1:]))


def check_shape(shape: object) -> ImageShape:
    """(C, H, W) of images; UserError for anything else."""
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) != 3 or not all(isinstance(n, int) and n > 0 for n in sides):
        raise UserError(
            f"image_shape={short(shape)}: give (channels, height, width)",
            "such as (1, 28, 28); of a table of D columns (1, 1, D)",
        )
    channels, height, width = sides
    return channels, height, width
