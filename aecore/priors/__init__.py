"""What codes are expected to look like before an image is seen."""

from aecore.priors.base import Prior
from aecore.priors.standard import Standard

__all__ = ["Prior", "Standard"]
