"""The loop one writes by hand: images in memory, fused Adam, nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import torch

from contenders.models import Model, mnist
from options import BATCH


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds of each epoch."""
    return list(islice(each(network, images, threads, data), epochs))


def each(network: str, images: int, threads: int, data: str, batch: int = BATCH) -> Iterator[float]:
    """The seconds of one epoch after another, without end."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pixels = mnist(data, images)
    model = Model(network)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    while True:
        start = time.perf_counter()
        order = torch.randperm(len(pixels))
        total = torch.zeros(())
        for i in range(0, len(pixels), batch):
            loss = model(pixels[order[i : i + batch]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        assert total.isfinite()
        yield time.perf_counter() - start
