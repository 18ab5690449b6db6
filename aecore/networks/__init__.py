"""With what eyes and hands: encoders x -> h and decoders z -> output."""

from aecore.networks.base import Network
from aecore.networks.conv import Conv
from aecore.networks.conv_unpool import ConvUnpool
from aecore.networks.mlp import MLP, Linear
from aecore.networks.resnet import ResNet

__all__ = ["MLP", "Conv", "ConvUnpool", "Linear", "Network", "ResNet"]
