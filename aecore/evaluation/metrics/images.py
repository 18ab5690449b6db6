"""Errors between two images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aecore.types import ImageShape

_WINDOW = 11  # the Gaussian window of Wang et al. 2004, sigma 1.5
_SMALL_WINDOW = 3  # a flat one for images that are smaller than that
_VALUES_PER_PART = 80_000


def squared_error(images: Tensor, others: Tensor) -> Tensor:
    """Mean squared error per pixel of each image, (N,); both (N, C, H, W)."""
    return (images - others).square().flatten(1).mean(1)


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on [0, 1]."""
    return math.inf if mse == 0 else -10 * math.log10(mse)


def ssim_applies(shape: ImageShape) -> bool:
    """Whether images of that shape have a structural similarity: tables and slivers have none."""
    return min(shape[1:]) >= _SMALL_WINDOW


def ssim(images: Tensor, others: Tensor) -> Tensor:
    """Structural similarity of each image, (N,), at most 1 (Wang et al. 2004), range [0, 1].

    What lies outside counts as black or white: else an image and its negative would be alike.
    The window is the paper's where the image holds it without its borders, else a flat 3x3 one.
    """
    # small parts stay in the cache of the CPU: twice as fast, and little memory
    size = max(_VALUES_PER_PART // images[0].numel(), 1)
    inside = images.clamp(0, 1), others.clamp(0, 1)
    parts = zip(*(torch.split(x, size) for x in inside), strict=True)
    return torch.cat([_ssim(*part) for part in parts])


def _ssim(images: Tensor, others: Tensor) -> Tensor:
    large = min(images.shape[2:]) > _WINDOW
    from torchmetrics.functional.image import structural_similarity_index_measure  # slow

    value = structural_similarity_index_measure(
        images,
        others,
        gaussian_kernel=large,
        kernel_size=_WINDOW if large else _SMALL_WINDOW,
        data_range=1.0,
        reduction="none",
    )
    assert isinstance(value, Tensor)
    return value
