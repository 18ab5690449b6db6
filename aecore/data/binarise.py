"""Grey pixels to black and white: by a threshold, or by draws that can be repeated.

A draw is a pure function of (stream, image, pixel): a counter through the SplitMix64 generator
(Steele, Lea and Flood 2014). So it depends on no order, batch, chunk, rank or device.
Splits are those held in memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from aecore.data.split import PART, Split

# First entries of the keys of `stream`, others than those of `aecore.data.split.permutation`.
EACH_EPOCH, ONCE = 4, 5
_STEP, _MIX = 0x9E3779B97F4A7C15, ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
_BITS = 24  # of a uniform number: what float32 holds exactly
_VALUES_AT_ONCE = 1 << 15  # on the CPU, so that intermediate results stay in its cache


def threshold(split: Split) -> Split:
    """The split with pixels above 0.5 as 255 and all others as 0, uint8."""
    middle = 127 if split.images.dtype == torch.uint8 else 0.5
    return replace(split, images=(split.images > middle).to(torch.uint8).mul_(255))


def binarise_once(split: Split, which: int) -> Split:
    """The split with every pixel drawn for good: 255 with its value as probability, else 0.

    which: a number of the split's own.
    """
    images = torch.empty(split.images.shape, dtype=torch.uint8)
    for index in torch.split(torch.arange(len(split)), PART):
        drawn = draw_binary(split.pixels(index), index, stream(ONCE, which))
        images[index] = drawn.to(torch.uint8).mul_(255)
    return replace(split, images=images)


def stream(*key: int) -> int:
    """A 64-bit number that names a stream of draws."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


def draw_binary(x: Tensor, index: Tensor, stream: int) -> Tensor:
    """Each pixel 1 with its value as probability, else 0; on the device of x.

    x: (N, C, H, W) float32 in [0, 1]. index: (N,) int64, which images these are of all that the
    stream is for. Returns (N, C, H, W) float32.
    """
    values = x[0].numel()
    images = max(_VALUES_AT_ONCE // values, 1) if x.device.type == "cpu" else len(x)
    parts = zip(torch.split(x, images), torch.split(index, images), strict=True)
    drawn = [(uniform(i, values, stream).view_as(p) < p).to(x.dtype) for p, i in parts]
    return drawn[0] if len(drawn) == 1 else torch.cat(drawn)


def uniform(index: Tensor, values: int, stream: int) -> Tensor:
    """(N, values) float32 in [0, 1), multiples of 2^-24, for images at `index` (N,) int64."""
    counter = index[:, None] * values + torch.arange(1, values + 1, device=index.device)
    bits = split_mix(counter, stream) >> 64 - _BITS
    bits &= (1 << _BITS) - 1
    return bits.to(torch.float32).mul_(2.0**-_BITS)


def split_mix(counter: Tensor, stream: int) -> Tensor:
    """The SplitMix64 outputs of those numbers (int64, from 1) after the seed `stream`.

    Unsigned 64 bits in int64: products wrap, and a shift must not bring in the sign.
    """
    z = counter * _signed(_STEP) + _signed(stream)
    for shift, factor in _MIX:
        z ^= (z >> shift) & ((1 << 64 - shift) - 1)
        z *= _signed(factor)
    return z


def _signed(bits: int) -> int:
    """64 unsigned bits as the int64 that has them."""
    return bits - (1 << 64) if bits >> 63 else bits
