"""The loop of tutorials: a DataLoader that turns each image to a tensor, Adam, loss.item()."""

from __future__ import annotations

import time

import torch
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from contenders.models import Model
from options import BATCH


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds of each epoch."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images_of = Subset(MNIST(data, train=True, transform=ToTensor()), range(images))
    loader = DataLoader(images_of, BATCH, shuffle=True)
    model = Model(network)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        total = 0.0
        for x, _ in loader:
            loss = model(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds.append(time.perf_counter() - start)
    return seconds
