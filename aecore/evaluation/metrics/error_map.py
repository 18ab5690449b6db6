"""Where an image is anomalous: its squared error per pixel, and how well that finds defects."""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from aecore.errors import ConfigError
from aecore.types import ImageShape

_SHIFT = 12  # bits of a float32 that are left out: values that differ by less than 1 / 2048 tie
_BINS = 2**31 >> _SHIFT


def error_map(output: Tensor, x: Tensor, smooth: float = 0.0) -> Tensor:
    """The squared error of each pixel, mean over channels, (N, 1, H, W); both (N, C, H, W).

    smooth: standard deviation in pixels of a Gaussian that the errors are averaged with, to three
        standard deviations on each side, mirrored at the borders; see `check_smooth`.
    """
    errors = (output - x).square().mean(1, keepdim=True)
    if not smooth:
        return errors
    window = 2 * math.ceil(3 * smooth) + 1
    blurred: Tensor = gaussian_blur(errors, [window, window], [smooth, smooth])
    return blurred


def check_smooth(smooth: float, shape: ImageShape) -> None:
    """Raise ConfigError where images are smaller than half of the window of the Gaussian."""
    _, *sides = shape
    if smooth and math.ceil(3 * smooth) >= min(sides):
        size, most = "x".join(map(str, sides)), (min(sides) - 1) // 3
        problem = f"too much for images of {size} pixels"
        raise ConfigError("smooth", smooth, problem, {"smooth": f"{most} or less" if most else 0})


def smooth_text(smooth: float) -> str:
    """` smoothed by 1.5 pixels`, or nothing."""
    return f" smoothed by {smooth:g} pixel{'' if smooth == 1 else 's'}" if smooth else ""


class PixelAuroc:
    """The AUROC over the pixels of any number of images, in constant memory.

    It is the probability that an anomalous pixel has a larger error than a normal one, ties
    counted half; 0.5 is chance. Errors are counted in bins of equal ratio, since it depends on
    their order alone: those that differ by less than 0.05 % count as equal.
    """

    def __init__(self) -> None:
        self._counts = torch.zeros(2, _BINS, dtype=torch.int64)  # normal, anomalous

    def add(self, errors: Tensor, masks: Tensor) -> None:
        """Count the pixels of some images; errors (n, 1, H, W) >= 0, masks of that shape, bool.

        NaN counts as the largest.
        """
        errors = errors.float().cpu().nan_to_num(nan=torch.inf, posinf=torch.inf)
        bins = errors.view(torch.int32) >> _SHIFT  # the bits of floats >= 0 are in their order
        for count, chosen in zip(self._counts, (~masks, masks), strict=True):
            count += torch.bincount(bins[chosen], minlength=_BINS)

    @property
    def pixels(self) -> tuple[int, int]:
        """How many normal and anomalous ones were counted."""
        normal, anomalous = self._counts.sum(1).tolist()
        return normal, anomalous

    def compute(self) -> float:
        """The AUROC of pixels of both kinds."""
        truth, order = np.repeat([0, 1], _BINS), np.tile(np.arange(_BINS), 2)
        return float(roc_auc_score(truth, order, sample_weight=self._counts.numpy().ravel()))
