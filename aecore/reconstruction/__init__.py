"""What counts as equal: the cost of an output against the clean image."""

from aecore.reconstruction.base import Reconstruction
from aecore.reconstruction.bernoulli import Bernoulli
from aecore.reconstruction.errors import L1, MSE
from aecore.reconstruction.gaussian import Gaussian

__all__ = ["L1", "MSE", "Bernoulli", "Gaussian", "Reconstruction"]
