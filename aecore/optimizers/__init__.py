"""How the weights are found."""

from aecore.optimizers.base import Optimizer
from aecore.optimizers.closed_form import ClosedForm
from aecore.optimizers.gradient import SGD, Adam, AdamW, Gradient
from aecore.optimizers.schedulers import Constant, Cosine, Plateau, Schedule, Step

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ClosedForm",
    "Constant",
    "Cosine",
    "Gradient",
    "Optimizer",
    "Plateau",
    "Schedule",
    "Step",
]
