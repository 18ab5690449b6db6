"""JAX: the whole epoch as one compiled program."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from typing import Any

import numpy as np

from options import BATCH

DENSE = {
    "shallow": ((784, 64), (64, 784)),
    "deep": ((784, 512, 256, 128, 30), (30, 128, 256, 784)),
    "vae": ((784, 512, 256, 40), (20, 256, 512, 784)),
}
# in, out, and the zeros put after the last row and column (transposed convolutions only)
DOWN, UP = ((1, 8), (8, 16), (16, 16)), ((16, 16, 0), (16, 8, 1), (8, 1, 1))


def run(network: str, images: int, threads: int, data: str, epochs: int) -> list[float]:
    """Seconds of each epoch, the first with compilation."""
    if hasattr(os, "sched_setaffinity"):  # XLA takes as many threads as it has cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax
    import optax

    jax.config.update("jax_platforms", "cpu")
    pixels = jax.numpy.asarray(_images(data, images))
    optimizer = optax.adam(1e-3)

    def step(state: Any, batch: Any) -> Any:
        weights, moments, key = state
        key, draw = jax.random.split(key)
        x = pixels[batch]
        loss, slopes = jax.value_and_grad(_loss)(weights, x, draw, network)
        updates, moments = optimizer.update(slopes, moments, weights)
        return (optax.apply_updates(weights, updates), moments, key), loss

    def epoch(state: Any) -> Any:
        weights, moments, key = state
        key, draw = jax.random.split(key)
        order = jax.random.permutation(draw, images)
        whole = images // BATCH * BATCH
        state = weights, moments, key
        state, losses = jax.lax.scan(step, state, order[:whole].reshape(-1, BATCH))
        if whole < images:
            state, _ = step(state, order[whole:])
        return state, losses.mean()

    compiled = jax.jit(epoch, donate_argnums=0)
    weights = _weights(network)
    state = weights, optimizer.init(weights), jax.random.key(0)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        state, loss = compiled(state)
        assert np.isfinite(float(loss))
        jax.block_until_ready(state)
        seconds.append(time.perf_counter() - start)
    return seconds


def _images(data: str, images: int) -> Any:
    """(images, 1, 28, 28) float32 in [0, 1]: the idx format is 16 bytes and the pixels."""
    path = os.path.join(data, "MNIST", "raw", "train-images-idx3-ubyte")
    raw = np.fromfile(path, np.uint8, images * 784, offset=16)
    return raw.reshape(-1, 1, 28, 28).astype(np.float32) / 255


def _weights(network: str) -> Any:
    rng = np.random.default_rng(0)

    def layer(shape: tuple[int, ...], width: int, outputs: int) -> Any:
        scale = width**-0.5
        draws = [rng.uniform(-scale, scale, s).astype(np.float32) for s in (shape, (outputs,))]
        return tuple(draws)

    if network == "conv":
        down = [layer((b, a, 3, 3), 9 * a, b) for a, b in DOWN]
        up = [layer((b, a, 3, 3), 9 * a, b) for a, b, _ in UP]
        return down, up
    return [[layer((a, b), a, b) for a, b in pairwise(side)] for side in DENSE[network]]


def _dense(x: Any, layers: Any) -> Any:
    import jax

    for i, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        x = jax.nn.relu(x) if i < len(layers) - 1 else x
    return x


def _convolutions(x: Any, weights: Any) -> Any:
    import jax

    lax = jax.lax
    for weight, bias in weights[0]:
        x = lax.conv(x, weight, (1, 1), "SAME") + bias[:, None, None]
        ceil = ((0, 0), (0, 0), *((0, side % 2) for side in x.shape[2:]))
        x = lax.reduce_window(jax.nn.relu(x), -np.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), ceil)
    for i, ((weight, bias), (_, _, more)) in enumerate(zip(weights[1], UP, strict=True)):
        padding = ((1, 1 + more), (1, 1 + more))
        x = lax.conv_general_dilated(x, weight, (1, 1), padding, lhs_dilation=(2, 2))
        x = x + bias[:, None, None]
        x = jax.nn.relu(x) if i < len(UP) - 1 else x
    return x


def _loss(weights: Any, x: Any, key: Any, network: str) -> Any:
    import jax
    import optax

    if network == "conv":
        return ((_convolutions(x, weights) - x) ** 2).sum() / len(x)
    x = x.reshape(len(x), -1)
    z = _dense(x, weights[0])
    if network == "shallow":
        z = jax.nn.relu(z)
    if network != "vae":
        return ((_dense(z, weights[1]) - x) ** 2).sum() / len(x)
    mean, log_var = jax.numpy.split(z, 2, axis=1)
    z = mean + jax.numpy.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
    cost = optax.sigmoid_binary_cross_entropy(_dense(z, weights[1]), x).sum()
    kl = -0.5 * (1 + log_var - mean**2 - jax.numpy.exp(log_var)).sum()
    return (cost + kl) / len(x)
