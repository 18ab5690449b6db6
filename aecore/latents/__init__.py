"""What a code is: h -> Code(z, mean, posterior, costs)."""

from aecore.latents.base import Latent
from aecore.latents.categorical import Categorical, Categories
from aecore.latents.deterministic import Deterministic, Spatial
from aecore.latents.flow import Flow, WarpedGaussian
from aecore.latents.fsq import FSQ
from aecore.latents.gaussian import DiagonalGaussian, Gaussian
from aecore.latents.hypersphere import Hypersphere, PowerSpherical
from aecore.latents.topk import TopK
from aecore.latents.vq import VQ

__all__ = [
    "FSQ",
    "VQ",
    "Categorical",
    "Categories",
    "Deterministic",
    "DiagonalGaussian",
    "Flow",
    "Gaussian",
    "Hypersphere",
    "Latent",
    "PowerSpherical",
    "Spatial",
    "TopK",
    "WarpedGaussian",
]
