"""Errors between two images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aecore.types import ImageShape

_WINDOW = 11  # the Gaussian window of Wang et al. 2004, sigma 1.5
_SMALL_WINDOW = 7  # the flat one of scikit-image, for images that are smaller than that
_C1, _C2 = 0.01**2, 0.03**2  # their K1 and K2, squared
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

    The mean over all windows that lie within the image, and over channels. The window is the
    paper's Gaussian one of 11 pixels; where the image is smaller, a flat one of 7, with the
    variances of samples, as scikit-image has it by default. Pixels beyond [0, 1] count as 0 or 1.
    """
    # small parts stay in the cache of the CPU: twice as fast, and little memory
    size = max(_VALUES_PER_PART // images[0].numel(), 1)
    inside = images.clamp(0, 1), others.clamp(0, 1)
    parts = zip(*(torch.split(x, size) for x in inside), strict=True)
    return torch.cat([_ssim(*part) for part in parts])


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    weights, correction = _window(min(x.shape[2:]))
    rows, columns = (_sliding(weights, n).to(x) for n in x.shape[2:])
    maps = rows @ torch.stack([x, y, x * x, y * y, x * y]) @ columns.T
    mean_x, mean_y, square_x, square_y, product = maps
    variance_x, variance_y, covariance = (
        correction * (second - mean)
        for second, mean in (
            (square_x, mean_x * mean_x), (square_y, mean_y * mean_y), (product, mean_x * mean_y),
        )
    )  # fmt: skip
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    similarity: Tensor = luminance * (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return similarity.mean((1, 2, 3))


def _window(side: int) -> tuple[Tensor, float]:
    """Weights of a window along one axis, and what makes its variances those of samples."""
    if side < _WINDOW:
        count = _SMALL_WINDOW**2
        return torch.full((_SMALL_WINDOW,), 1 / _SMALL_WINDOW), count / (count - 1)
    weights = torch.exp(-0.5 * ((torch.arange(_WINDOW) - _WINDOW // 2) / 1.5) ** 2)
    return weights / weights.sum(), 1.0


def _sliding(weights: Tensor, side: int) -> Tensor:
    """The matrix (places, side) that weighs each window within `side` numbers."""
    places = side - len(weights) + 1
    matrix = torch.zeros(places, side)
    for place in range(places):
        matrix[place, place : place + len(weights)] = weights
    return matrix
