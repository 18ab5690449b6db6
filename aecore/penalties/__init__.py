"""What a code is forbidden; any number at once, each with a weight of its own."""

from aecore.penalties.adversarial import Adversarial
from aecore.penalties.base import Penalty, by_name
from aecore.penalties.capacity import Capacity
from aecore.penalties.contractive import Contractive
from aecore.penalties.dip import DIP
from aecore.penalties.factor import Factor
from aecore.penalties.free_bits import FreeBits
from aecore.penalties.gradient import Gradient
from aecore.penalties.kl import KL
from aecore.penalties.kl_sparsity import KLSparsity
from aecore.penalties.l1 import L1
from aecore.penalties.l2 import CodeL2, DecoderL2
from aecore.penalties.mmd import MMD
from aecore.penalties.orthogonal import Orthogonal
from aecore.penalties.sliced_wasserstein import SlicedWasserstein
from aecore.penalties.total_correlation import TotalCorrelation
from aecore.penalties.weight import Weight, Weighted

__all__ = [
    "DIP",
    "KL",
    "L1",
    "MMD",
    "Adversarial",
    "Capacity",
    "CodeL2",
    "Contractive",
    "DecoderL2",
    "Factor",
    "FreeBits",
    "Gradient",
    "KLSparsity",
    "Orthogonal",
    "Penalty",
    "SlicedWasserstein",
    "TotalCorrelation",
    "Weight",
    "Weighted",
    "by_name",
]
