"""What codes are expected to look like before an image is seen."""

from aecore.priors.base import Prior
from aecore.priors.standard import Standard
from aecore.priors.uniform import UniformCategories, UniformSphere

__all__ = ["Prior", "Standard", "UniformCategories", "UniformSphere"]
