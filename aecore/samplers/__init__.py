"""Distributions fitted to codes after training, from which any latent can be drawn."""

from aecore.samplers.base import Fitted, Sampler
from aecore.samplers.flow import Flow
from aecore.samplers.gaussian import Gaussian
from aecore.samplers.gmm import GMM
from aecore.samplers.knn import KNN

__all__ = ["GMM", "KNN", "Fitted", "Flow", "Gaussian", "Sampler"]
