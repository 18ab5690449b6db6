"""Yardsticks: the same for every variant, on clean images in [0, 1]; and metric words."""

from aecore.metrics.base import Metric, Subject
from aecore.metrics.code import CodeActivity
from aecore.metrics.compression import Compression
from aecore.metrics.dead import DeadKernels
from aecore.metrics.evaluate import evaluate, evaluate_noisy
from aecore.metrics.hidden import HiddenActivity
from aecore.metrics.identity import IdentityDistance
from aecore.metrics.images import psnr, squared_error, ssim, ssim_applies
from aecore.metrics.jacobian import JacobianNorm
from aecore.metrics.manifold import NearestTraining
from aecore.metrics.ood import Ood
from aecore.metrics.pca import PcaError
from aecore.metrics.perplexity import Perplexity

__all__ = [
    "CodeActivity",
    "Compression",
    "DeadKernels",
    "HiddenActivity",
    "IdentityDistance",
    "JacobianNorm",
    "Metric",
    "NearestTraining",
    "Ood",
    "PcaError",
    "Perplexity",
    "Subject",
    "evaluate",
    "evaluate_noisy",
    "psnr",
    "squared_error",
    "ssim",
    "ssim_applies",
]
