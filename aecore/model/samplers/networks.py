"""Networks of samplers: initialised from a seed, trained on codes, restored from tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from aecore.config.component import LearningRate, PositiveInt
from aecore.model.limits import limited_to
from aecore.model.samplers.base import Sampler

Network = TypeVar("Network", bound=nn.Module)


def initialised(make: Callable[[], Network], seed: int) -> Network:
    """The network that `make` creates, with weights drawn by the seed."""
    with torch.random.fork_rng(devices=[]):  # initialised by PyTorch's generator
        torch.manual_seed(seed)
        return make()


class NetworkSampler(Sampler):
    """A sampler with a network, which is trained with Adam.

    epochs, batch_size, lr: of its training; the learning rate falls to 0 along a cosine.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: LearningRate

    @torch.enable_grad()
    def train(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Generator], Tensor],
        count: int,
        seed: int,
    ) -> None:
        """Train the network, then freeze its weights.

        loss: the mean over the training examples at indices (M,), of 0 ... count - 1.
        """
        generator = Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr)
        steps = self.epochs * -(-count // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(self.epochs):
            order = torch.randperm(count, generator=generator)
            for batch in torch.split(order, self.batch_size):
                optimizer.zero_grad()
                loss(batch, generator).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        network.requires_grad_(False)


def restored_network(
    make: Callable[[], Network], tensors: Mapping[str, Tensor], name: str
) -> Network:
    """The network that `make` creates, with these weights, named `name.*`; ValueError for others.

    name: of the attribute of the `Fitted` that holds it.
    """
    weights = {key.removeprefix(f"{name}."): value for key, value in tensors.items()}
    with torch.random.fork_rng(devices=[]), limited_to(weights.values()):
        network = make().requires_grad_(False)
    expected = {k: (v.shape, v.dtype) for k, v in network.state_dict().items()}
    if {k: (v.shape, v.dtype) for k, v in weights.items()} != expected:
        raise ValueError("another network")
    network.load_state_dict(weights)
    return network
