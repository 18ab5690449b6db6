"""How sparse the hidden layers are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from aecore.config.component import NonNegativeFloat, component
from aecore.evaluation.metrics.base import Metric, Subject
from aecore.model.autoencoder import Autoencoder
from aecore.model.conditioning import in_parts
from aecore.model.layers import BATCH, layers
from aecore.model.networks.base import flat
from aecore.types import Shape


class Activity(NamedTuple):
    """What a layer does over many images.

    shape: of its activations of one image. mean: of |a|. active: the share with |a| > threshold.
    """

    shape: Shape
    mean: float
    active: float


def activities(
    model: Autoencoder, batches: Iterable[tuple[Tensor, Tensor | None]], threshold: float
) -> dict[str, Activity]:
    """The hidden layers `encoder 1`, ..., `code`, `decoder 1`, ... over batches (n, C, H, W).

    Each batch comes with its labels, where it has some.

    Layers are seen after their norms and activations, without noise and with the mean code. The
    last layer, the output, is left out.
    """
    sums: dict[str, tuple[float, int, int]] = {}
    shapes: dict[str, Shape] = {}
    for batch in batches:
        for name, values in _held(model, *batch):
            total, active, count = sums.get(name, (0.0, 0, 0))
            size = values.abs()
            total += float(size.double().sum())
            active += int((size > threshold).sum())
            sums[name] = total, active, count + size.numel()
            shapes[name] = tuple(size.shape[1:])
    return {
        name: Activity(shapes[name], total / count, active / count)
        for name, (total, active, count) in sums.items()
    }


def _held(
    model: Autoencoder, images: Tensor, labels: Tensor | None
) -> Iterable[tuple[str, Tensor]]:
    for x, y in in_parts(images, labels, BATCH):
        found = layers(model, x, y)
        encoder, decoder = (
            [a.output for a in found if a.side == side] for side in ("encoder", "decoder")
        )
        yield from ((f"encoder {n + 1}", a) for n, a in enumerate(encoder))
        yield "code", model.encode(x, y=y).mean
        yield from ((f"decoder {n + 1}", a) for n, a in enumerate(decoder[:-1]))


class HiddenActivity(Metric):
    """`hidden_inactive`: the share of all hidden activations near zero, |a| <= `threshold`.

    Over all test images and all layers but the output, the code among them; every activation
    counts the same, so a wide layer counts more. A threshold of 0 counts exact zeros, as of a
    ReLU; activations that only come near zero (a sigmoid's) need a small one.
    """

    @component
    def __init__(self, *, threshold: NonNegativeFloat) -> None:
        self.threshold = threshold

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Applies to every model; one without hidden layers has its code."""
        found = activities(subject.model, subject.labelled(subject.test), self.threshold).values()
        sizes = [flat(layer.shape) for layer in found]
        active = sum(layer.active * size for layer, size in zip(found, sizes, strict=True))
        return {"hidden_inactive": 1 - active / sum(sizes)}
