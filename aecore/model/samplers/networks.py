"""Networks of samplers: initialised from a seed, trained on codes, restored from tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from aecore.model.limits import limited_to

Network = TypeVar("Network", bound=nn.Module)


def initialised(make: Callable[[], Network], seed: int) -> Network:
    """The network that `make` creates, with weights drawn by the seed."""
    with torch.random.fork_rng(devices=[]):  # initialised by PyTorch's generator
        torch.manual_seed(seed)
        return make()


@torch.enable_grad()
def train_network(
    network: nn.Module,
    loss: Callable[[Tensor, Generator], Tensor],
    count: int,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
) -> None:
    """Train with Adam, whose learning rate falls to 0 along a cosine; then freeze the weights.

    loss: the mean over the training examples at indices (M,), of 0 ... count - 1.
    """
    generator = Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    steps = epochs * -(-count // batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        for batch in torch.split(order, batch_size):
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
