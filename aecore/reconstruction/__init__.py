"""What counts as equal: the cost of an output against the clean image."""

from aecore.reconstruction.adversarial import Adversarial
from aecore.reconstruction.base import Reconstruction
from aecore.reconstruction.bernoulli import Bernoulli
from aecore.reconstruction.continuous_bernoulli import ContinuousBernoulli
from aecore.reconstruction.errors import L1, MSE
from aecore.reconstruction.gaussian import Gaussian
from aecore.reconstruction.logcosh import LogCosh
from aecore.reconstruction.ssim import MSSSIM, SSIM

__all__ = [
    "L1",
    "MSE",
    "MSSSIM",
    "SSIM",
    "Adversarial",
    "Bernoulli",
    "ContinuousBernoulli",
    "Gaussian",
    "LogCosh",
    "Reconstruction",
]
