"""What the layers of a model hold while it looks at images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from aecore.model.autoencoder import Autoencoder

Side = Literal["encoder", "latent", "decoder"]
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
BATCH = 250  # images at once: the maps of a convolution are large
_STILL = 1e-6


@dataclass(slots=True)
class Layer:
    """A matrix or convolution at work.

    side: the word that it belongs to.
    module: its weights.
    input: what it was given.
    output: what came out after its norm and activation, (N, units) or (N, units, H, W).
    """

    side: Side
    module: nn.Module
    input: Tensor
    output: Tensor


def leaves(module: nn.Module) -> list[nn.Module]:
    """The modules without parts of their own."""
    # not any(children()): an empty Sequential is a child and false
    return [part for part in module.modules() if next(part.children(), None) is None]


@contextmanager
def _watched(model: Autoencoder, found: list[Layer]) -> Iterator[None]:
    def watch(side: Side) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(module, WEIGHTED):
                found.append(Layer(side, module, inputs[0], output))
            elif found and inputs[0] is found[-1].output and output.shape == inputs[0].shape:
                found[-1].output = output  # its norm, activation or dropout

        return look

    sides: tuple[tuple[Side, nn.Module], ...] = (
        ("encoder", model.encoder),
        ("latent", model.latent),
        ("decoder", model.decoder),
    )
    handles = [
        leaf.register_forward_hook(watch(side)) for side, part in sides for leaf in leaves(part)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layers(model: Autoencoder, images: Tensor, labels: Tensor | None = None) -> list[Layer]:
    """The layers in the order in which they work on images (N, C, H, W), with what they held.

    labels: of the images, (N,), or None.
    """
    found: list[Layer] = []
    with torch.no_grad(), _watched(model, found):
        model.reconstruct(images, labels)
    return found


def dead_units(values: Iterator[Tensor]) -> Tensor:
    """Which units never change, over batches (n, units, ...) of their values: (units,) bool.

    A unit is dead when its values differ by no more than a millionth of what those of the
    liveliest unit differ, over all images and (of maps) all places: constant, mostly zero.
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
