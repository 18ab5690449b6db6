"""Inputs and outputs of the layers of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from aecore.model.autoencoder import Autoencoder
from aecore.model.module import leaves

Side = Literal["encoder", "latent", "decoder"]
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
BATCH = 250  # images at once: the maps of a convolution are large
_STILL = 1e-6


@dataclass(slots=True)
class Layer:
    """A linear or convolutional layer with its activations.

    side: the component that it belongs to.
    module: the layer itself.
    input: its input.
    output: its output after normalisation and activation, (N, units) or (N, units, H, W).
    """

    side: Side
    module: nn.Module
    input: Tensor
    output: Tensor


@contextmanager
def _recorded(model: Autoencoder, record: list[Layer]) -> Iterator[None]:
    def hook_of(side: Side) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(module, WEIGHTED):
                record.append(Layer(side, module, inputs[0], output))
            elif record and inputs[0] is record[-1].output and output.shape == inputs[0].shape:
                record[-1].output = output  # its norm, activation or dropout

        return hook

    sides: tuple[tuple[Side, nn.Module], ...] = (
        ("encoder", model.encoder),
        ("latent", model.latent),
        ("decoder", model.decoder),
    )
    handles = [
        leaf.register_forward_hook(hook_of(side)) for side, part in sides for leaf in leaves(part)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layers(model: Autoencoder, images: Tensor, labels: Tensor | None = None) -> list[Layer]:
    """The layers in the order of their application to images (N, C, H, W).

    labels: of the images, (N,), or None.
    """
    record: list[Layer] = []
    with torch.no_grad(), _recorded(model, record):
        model.reconstruct(images, labels)
    return record


def dead_units(values: Iterator[Tensor]) -> Tensor:
    """Which units are constant over batches (n, units, ...) of their values: (units,) bool.

    A unit is dead if the range of its values over all images (and positions of a map) is at most
    a millionth of the largest range of a unit.
    """
    low: Tensor | None = None
    high: Tensor | None = None
    for batch in values:
        units = batch.transpose(0, 1).flatten(1)
        least, most = units.amin(1), units.amax(1)
        low = least if low is None else torch.minimum(low, least)
        high = most if high is None else torch.maximum(high, most)
    assert low is not None
    assert high is not None
    span = (high - low).cpu()
    return span <= _STILL * span.max()
