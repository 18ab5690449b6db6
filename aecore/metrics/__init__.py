"""Yardsticks: the same for every variant, on clean images in [0, 1]; and metric words."""

from aecore.metrics.base import Metric, Subject
from aecore.metrics.bits import Bits
from aecore.metrics.code import CodeActivity
from aecore.metrics.compression import Compression
from aecore.metrics.dead import DeadKernels
from aecore.metrics.disentanglement import Disentanglement
from aecore.metrics.equivalent import EquivalentVariance
from aecore.metrics.evaluate import evaluate, evaluate_noisy
from aecore.metrics.frechet import Frechet
from aecore.metrics.hidden import HiddenActivity
from aecore.metrics.identity import IdentityDistance
from aecore.metrics.images import psnr, squared_error, ssim, ssim_applies
from aecore.metrics.inception import Inception
from aecore.metrics.jacobian import JacobianNorm
from aecore.metrics.likelihood import Likelihood
from aecore.metrics.manifold import NearestTraining
from aecore.metrics.ood import Ood
from aecore.metrics.pca import PcaError
from aecore.metrics.perplexity import Perplexity
from aecore.metrics.posterior import PosteriorUse
from aecore.metrics.probe import Probe
from aecore.metrics.rank import CodeRank

__all__ = [
    "Bits",
    "CodeActivity",
    "CodeRank",
    "Compression",
    "DeadKernels",
    "Disentanglement",
    "EquivalentVariance",
    "Frechet",
    "HiddenActivity",
    "IdentityDistance",
    "Inception",
    "JacobianNorm",
    "Likelihood",
    "Metric",
    "NearestTraining",
    "Ood",
    "PcaError",
    "Perplexity",
    "PosteriorUse",
    "Probe",
    "Subject",
    "evaluate",
    "evaluate_noisy",
    "psnr",
    "squared_error",
    "ssim",
    "ssim_applies",
]
