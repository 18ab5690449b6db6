"""What codes are expected to look like before an image is seen."""

from aecore.priors.base import Prior, PriorWord, Standalone
from aecore.priors.flow import Flow
from aecore.priors.mixture import Mixture
from aecore.priors.standard import Standard
from aecore.priors.uniform import UniformCategories, UniformSphere
from aecore.priors.vamp import Vamp

__all__ = [
    "Flow",
    "Mixture",
    "Prior",
    "PriorWord",
    "Standalone",
    "Standard",
    "UniformCategories",
    "UniformSphere",
    "Vamp",
]
