"""The base class of latents whose codes consist of entries of a codebook."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.networks.base import flat
from aecore.model.networks.dense import Dense
from aecore.types import Shape


class Quantised(Latent):
    """Codes of `tokens` codebook entries each; subclasses define the codebook.

    There is no prior over the entries; `sampler=autoregressive` learns one after training. A
    uniform prior would cost log(codebook_size) nats per token.

    name: of the option, for messages.
    tokens: entries per image, from a vector; None for one per position of a feature map.
    """

    name: ClassVar[str]

    tokens: PositiveInt | None

    @property
    @abstractmethod
    def width(self) -> int:
        """The dimension of an entry."""

    @override
    def attach(self, feature_shape: Shape) -> Shape:
        if self.tokens is None:
            if len(feature_shape) != 3:
                raise UserError(
                    f"latent={self.name} latent.tokens=null: this network's features are no map "
                    "(channels, H, W)",
                    "use network=conv, or for example latent.tokens=8, from a vector",
                )
            self.project: nn.Module = nn.Conv2d(feature_shape[0], self.width, 1)
            self.code_shape: Shape = (self.width, *feature_shape[1:])
        else:
            size = self.tokens * self.width
            self.project = nn.Sequential(nn.Flatten(), Dense(flat(feature_shape), size))
            self.code_shape = (size,)
        return self.code_shape

    def split_tokens(self, z: Tensor) -> Tensor:
        """Codes (N, *code_shape) -> their entries, (N, tokens, width)."""
        if self.tokens is None:
            return z.flatten(2).transpose(1, 2)
        return z.reshape(-1, self.tokens, self.width)

    def merge_tokens(self, entries: Tensor) -> Tensor:
        """Entries (N, tokens, width) -> codes, (N, *code_shape)."""
        if self.tokens is None:
            entries = entries.transpose(1, 2)
        return entries.reshape(-1, *self.code_shape)

    def place_tokens(self, indices: Tensor) -> Tensor:
        """Indices of entries (N, tokens, ...) -> (N, H, W, ...) for a feature map, else as is."""
        places = self.code_shape[1:] if self.tokens is None else (self.tokens,)
        return indices.view(-1, *places, *indices.shape[2:])


def straight_through(value: Tensor, x: Tensor) -> Tensor:
    """`value`, bit for bit, with the gradient of x (straight-through; Bengio et al. 2013)."""
    return value.detach() + (x - x.detach())


def summed(values: Tensor) -> Tensor:
    """The sum over all processes of a distributed training, equal on each."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        values = values.contiguous()
        torch.distributed.all_reduce(values)
    return values


def from_first(values: Tensor) -> Tensor:
    """The values of the first process of a distributed training, on each."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        values = values.contiguous()
        torch.distributed.broadcast(values, 0)
    return values
