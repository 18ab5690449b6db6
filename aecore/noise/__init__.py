"""What is done to the input before the encoder sees it."""

from aecore.noise.base import Noise
from aecore.noise.noises import Chain, Dropout, Gaussian, NoNoise, SaltAndPepper

__all__ = ["Chain", "Dropout", "Gaussian", "NoNoise", "Noise", "SaltAndPepper"]
