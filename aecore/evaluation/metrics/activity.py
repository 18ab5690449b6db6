"""How active the code and the hidden layers are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from torch import Tensor

from aecore.config.component import NonNegativeFloat
from aecore.evaluation.metrics.base import Metric
from aecore.evaluation.reported import Reported
from aecore.evaluation.trial import Trial
from aecore.model.layers import BATCH, Layer, dead_units, layers
from aecore.model.networks.base import flat
from aecore.types import Shape


class Activity(Metric):
    """How active the code and the hidden layers are over all test images.

    `activity/code`: the share of the values of the mean codes with |z| > `code_threshold`;
    `activity/code_mean`: the mean of |z|.

    `activity/hidden_inactive`: the share of all hidden activations near zero, |a| <=
    `hidden_threshold`, over all layers but the output, the code among them. Every activation
    counts the same, so a wide layer counts more. A threshold of 0 counts exact zeros, as of a ReLU;
    activations that only come near zero (a sigmoid's) need a small one.

    `activity/dead_units`: how many units of the first layer never change; filters of a
    convolution, or rows of a matrix (of a `linear` network that of the latent), see `dead_units`.
    """

    reports: ClassVar = {
        "activity/code": Reported(),
        "activity/code_mean": Reported(),
        "activity/hidden_inactive": Reported(),
        "activity/dead_units": Reported(False),
    }

    code_threshold: NonNegativeFloat
    hidden_threshold: NonNegativeFloat

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Applies to every model; of one without hidden layers the code counts as hidden."""
        sizes = trial.codes().abs()
        return {
            "activity/code": float((sizes > self.code_threshold).double().mean()),
            "activity/code_mean": float(sizes.double().mean()),
            "activity/hidden_inactive": self._hidden_inactive(trial),
            "activity/dead_units": float(
                dead_units(batch[0].output for batch in layer_batches(trial)).sum()
            ),
        }

    def _hidden_inactive(self, trial: Trial) -> float:
        activities = layer_activities(trial, self.hidden_threshold).values()
        sizes = [flat(layer.shape) for layer in activities]
        active = sum(layer.active * size for layer, size in zip(activities, sizes, strict=True))
        return 1 - active / sum(sizes)


class LayerActivity(NamedTuple):
    """The activations of a layer over many images.

    shape: of those of one image. mean: of |a|. active: the share with |a| > threshold.
    """

    shape: Shape
    mean: float
    active: float


def layer_activities(trial: Trial, threshold: float) -> dict[str, LayerActivity]:
    """The hidden layers `encoder 1`, ..., `code`, `decoder 1`, ... over all images.

    Layers are seen after their norms and activations, without noise and with the mean code. The
    last layer, the output, is left out.
    """
    sums: dict[str, tuple[float, int, int]] = {}
    shapes: dict[str, Shape] = {}
    for name, values in _activations(trial):
        total, active, count = sums.get(name, (0.0, 0, 0))
        size = values.abs()
        total += float(size.double().sum())
        active += int((size > threshold).sum())
        sums[name] = total, active, count + size.numel()
        shapes[name] = tuple(size.shape[1:])
    return {
        name: LayerActivity(shapes[name], total / count, active / count)
        for name, (total, active, count) in sums.items()
    }


def layer_batches(trial: Trial) -> Iterator[list[Layer]]:
    """The layers at work on all images, batch by batch."""
    for x, y in trial.batches(min(BATCH, trial.batch_size)):
        yield layers(trial.model, x, y)


def _activations(trial: Trial) -> Iterator[tuple[str, Tensor]]:
    """The activations of the hidden layers (n, ...), by the layer's name, batch by batch."""
    for x, y in trial.batches(min(BATCH, trial.batch_size)):
        seen = layers(trial.model, x, y)
        encoder, decoder = (
            [a.output for a in seen if a.side == side] for side in ("encoder", "decoder")
        )
        yield from ((f"encoder {n + 1}", a) for n, a in enumerate(encoder))
        yield "code", trial.model.encode(x, y=y).mean
        yield from ((f"decoder {n + 1}", a) for n, a in enumerate(decoder[:-1]))
