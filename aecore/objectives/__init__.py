"""How passes become a loss."""

from aecore.objectives.base import Objective, Terms, check_names
from aecore.objectives.bounds import Bound, Ciwae, Dreg, Iwae, Miwae
from aecore.objectives.elbo import Elbo

__all__ = ["Bound", "Ciwae", "Dreg", "Elbo", "Iwae", "Miwae", "Objective", "Terms", "check_names"]
