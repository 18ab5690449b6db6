"""How passes become a loss."""

from aecore.objectives.base import Objective, Terms
from aecore.objectives.elbo import Elbo

__all__ = ["Elbo", "Objective", "Terms"]
