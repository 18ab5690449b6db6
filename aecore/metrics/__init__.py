"""Yardsticks: the same for every variant, on clean images in [0, 1]."""

from aecore.metrics.evaluate import evaluate, evaluate_noisy
from aecore.metrics.images import psnr, squared_error, ssim, ssim_applies

__all__ = ["evaluate", "evaluate_noisy", "psnr", "squared_error", "ssim", "ssim_applies"]
