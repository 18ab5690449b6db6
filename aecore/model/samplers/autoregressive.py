"""An autoregressive distribution of codebook indices as sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.errors import ConfigError
from aecore.model.passes import Model
from aecore.model.samplers.base import Fitted, IndexSampler
from aecore.model.samplers.networks import NetworkSampler, initialised, restored_network

_MOST = 2**16  # entries, each of which has its row in two matrices


class CausalNetwork(nn.Module):
    """The distribution of each index given those before it and the class, by a recurrent network.

    A GRU (Cho et al. 2014): causal by construction, and one step for each index of a sample.
    """

    def __init__(
        self, places: int, entries: int, classes: int | None, *, width: int, layers: int
    ) -> None:
        super().__init__()
        self.start = entries  # stands before the first index
        self.before = nn.Embedding(entries + 1, width)
        self.place = nn.Embedding(places, width)
        self.label = nn.Embedding(classes or 1, width)
        self.memory = nn.GRU(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, entries)

    def forward(
        self, before: Tensor, y: Tensor, first: int = 0, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, L, entries) of the indices at places `first` ..., and the next state.

        before: (N, L), the index before each. y: (N,) classes, 0 without any.
        """
        places = self.place.weight[first : first + before.shape[1]]
        h, state = self.memory(self.before(before) + places + self.label(y)[:, None], state)
        return self.head(h), state


@dataclass(frozen=True)
class Autoregression(Fitted):
    """p(indices | y) = prod_i p(index_i | those before it, y). classes: None if unconditional."""

    network: CausalNetwork
    classes: int | None

    of_indices = True

    @override
    def draw(
        self, n: int, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        """`n` rows of indices, (n, places) int64, of the classes 0, 1, ... in turn."""
        return self.draw_of(torch.arange(n) % (self.classes or 1), like, generator, temperature)

    @torch.no_grad()
    @override
    def draw_of(
        self, y: Tensor, like: Tensor, generator: Generator | None, temperature: float = 1.0
    ) -> Tensor:
        network, y, state = self.network.to(like.device), y.to(like.device), None
        drawn = [y.new_full((len(y), 1), network.start)]
        for place in range(network.place.num_embeddings):
            logits, state = network(drawn[-1], y, place, state)
            chances = logits[:, 0].softmax(1)
            drawn.append(torch.multinomial(chances, 1, generator=generator))
        return torch.cat(drawn[1:], 1)

    def log_prob(self, indices: Tensor, y: Tensor | None = None) -> Tensor:
        """Log probability of each index in nats, (N, places), given those before it."""
        before = F.pad(indices[:, :-1], (1, 0), value=self.network.start)
        logits, _ = self.network(before, indices.new_zeros(len(indices)) if y is None else y)
        return -F.cross_entropy(logits.transpose(1, 2), indices, reduction="none")


class Autoregressive(NetworkSampler, IndexSampler):
    """A causal network over the indices of an image, trained by maximum likelihood, with Adam.

    The second stage of van den Oord et al. 2017, with a recurrent network in place of PixelCNN.
    Indices follow one another row by row, those of the levels of a token together. A conditional
    model has one network, which is given the class.

    width, layers: of the recurrent network.
    epochs, batch_size, lr: of its training; the learning rate falls to 0 along a cosine.
    images: maximum number of training images that are encoded.
    """

    width: PositiveInt
    layers: PositiveInt

    name = "autoregressive"

    @override
    def check(self, model: Model, images: int) -> None:
        super().check(model, images)
        size = model.latent.codebook_size
        if size is not None and size > _MOST:
            problem = f"a codebook of {size:,} entries is too large for it"
            hint = f"choose a latent of at most {_MOST:,} entries, or sampler=none"
            raise ConfigError("sampler", self.name, problem, hint)

    @override
    def fit(
        self,
        indices: Tensor,
        entries: int,
        seed: int,
        labels: Tensor | None = None,
        classes: int | None = None,
    ) -> Autoregression:
        network = initialised(lambda: self._network(indices.shape[1], entries, classes), seed)
        fitted = Autoregression(network, classes)

        def loss(batch: Tensor, _: Generator) -> Tensor:
            y = None if labels is None else labels[batch]
            return -fitted.log_prob(indices[batch], y).mean()

        self.train(network, loss, len(indices), seed)
        return fitted

    def _network(self, places: int, entries: int, classes: int | None) -> CausalNetwork:
        return CausalNetwork(places, entries, classes, width=self.width, layers=self.layers)

    @override
    def restore(self, tensors: Mapping[str, Tensor], model: Model) -> Autoregression:
        places, entries = len(tensors["network.place.weight"]), model.latent.codebook_size
        assert entries is not None, "the latent has a codebook"
        make = lambda: self._network(places, entries, model.classes)  # noqa: E731
        network = restored_network(make, tensors, "network")
        codes = model.latent.decode_indices(torch.zeros(1, places, dtype=torch.int64))
        if codes.shape != (1, *model.code_shape):
            raise ValueError(f"{places} indices")
        return Autoregression(network, model.classes)
