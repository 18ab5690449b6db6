"""What a code is: h -> Code(z, mean, posterior, costs)."""

from aecore.latents.base import Latent
from aecore.latents.deterministic import Deterministic, Spatial
from aecore.latents.gaussian import DiagonalGaussian, Gaussian

__all__ = ["Deterministic", "DiagonalGaussian", "Gaussian", "Latent", "Spatial"]
