"""What a code is forbidden; any number at once, each with a weight of its own."""

from aecore.penalties.base import Penalty
from aecore.penalties.contractive import Contractive
from aecore.penalties.kl import KL
from aecore.penalties.l1 import L1
from aecore.penalties.weight import Weight

__all__ = ["KL", "L1", "Contractive", "Penalty", "Weight"]
