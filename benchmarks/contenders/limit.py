"""The matrix products of an epoch and nothing else, at the speed this machine multiplies."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from options import BATCH

# rows for each image, inputs, outputs of every layer; a convolution is a product with its patches
LAYERS = {
    "shallow": [(1, 784, 64), (1, 64, 784)],
    "deep": [(1, 784, 512), (1, 512, 256), (1, 256, 128), (1, 128, 30),
             (1, 30, 128), (1, 128, 256), (1, 256, 784)],
    "vae": [(1, 784, 512), (1, 512, 256), (1, 256, 40),
            (1, 20, 256), (1, 256, 512), (1, 512, 784)],
    "conv": [(784, 9, 8), (196, 72, 16), (49, 144, 16),
             (16, 16, 144), (49, 16, 72), (196, 8, 9)],
}  # fmt: skip


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds of each epoch: forward, slope of the weights, slope of the input (but the first)."""
    torch.set_num_threads(threads)
    products = []
    for i, (rows, inputs, outputs) in enumerate(LAYERS[network]):
        x, y = torch.randn(BATCH * rows, inputs), torch.randn(BATCH * rows, outputs)
        w = torch.randn(outputs, inputs)
        products += [(x, w.T, y.clone()), (y.T, x, w.clone())]
        if i > 0:
            products.append((y, w, x.clone()))
    return [sum(_fastest(*p) for p in products) * images / BATCH for _ in range(epochs)]


def _fastest(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> float:
    """Seconds of a b by the faster of torch's two libraries: the BLAS, and oneDNN where it is."""
    ways: list[Callable[[], object]] = [lambda: torch.mm(a, b, out=out)]
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], ""))
    times = []
    for _ in range(30):
        for multiply in ways:
            start = time.perf_counter()
            multiply()
            times.append(time.perf_counter() - start)
    return min(times)
