"""What latents whose codes are made of words have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape


class Quantised(Latent):
    """Codes of code words; what a word is, subclasses say.

    Nothing says yet which words are likely, so such codes cannot be drawn. A uniform prior over
    them would cost log(codes) nats a word.
    """

    def __init__(self, name: str, words: int | None, width: int) -> None:
        """Keep the shape of the codes.

        name: on the command line. words: codebook entries per image, cut from a vector; None for
        one at each place of a feature map. width: numbers of an entry.
        """
        super().__init__()
        self.name, self.words, self.width = name, words, width

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        if self.words is None:
            if len(feature_shape) != 3:
                raise UserError(
                    f"latent={self.name} latent.words=null: this network's features are no map "
                    "(channels, H, W)",
                    "use network=conv, or latent.words=8: cut from a vector",
                )
            self.project: nn.Module = nn.Conv2d(feature_shape[0], self.width, 1)
            self.code_shape: Shape = (self.width, *feature_shape[1:])
        else:
            size = self.words * self.width
            self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), size))
            self.code_shape = (size,)
        return self.code_shape

    def apart(self, z: Tensor) -> Tensor:
        """Codes (N, *code_shape) -> their words, (N, words, width)."""
        if self.words is None:
            return z.flatten(2).transpose(1, 2)
        return z.reshape(-1, self.words, self.width)

    def together(self, words: Tensor) -> Tensor:
        """Words (N, words, width) -> codes, (N, *code_shape)."""
        if self.words is None:
            words = words.transpose(1, 2)
        return words.reshape(-1, *self.code_shape)

    def placed(self, indices: Tensor) -> Tensor:
        """Which word it is (N, words) -> the same as the words lie: (N, H, W) in a map."""
        return indices.view(-1, *(self.code_shape[1:] if self.words is None else (self.words,)))


def straight_through(value: Tensor, x: Tensor) -> Tensor:
    """`value`, bit for bit, with the gradient of x (Bengio et al. 2013)."""
    return value.detach() + (x - x.detach())


def summed(values: Tensor) -> Tensor:
    """The sum over all processes of a training, the same on each."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        values = values.contiguous()
        torch.distributed.all_reduce(values)
    return values


def from_first(values: Tensor) -> Tensor:
    """What the first process of a training has, on each."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        values = values.contiguous()
        torch.distributed.broadcast(values, 0)
    return values
