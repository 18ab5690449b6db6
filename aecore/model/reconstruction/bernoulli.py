"""The Bernoulli likelihood of pixels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from aecore.config.component import Probability
from aecore.errors import ConfigError, UserError
from aecore.model.passes import Model
from aecore.model.reconstruction.base import Reconstruction


class Bernoulli(Reconstruction):
    """Binary cross-entropy on logits, in nats per image.

    targets: 'soft' takes grey pixels as probabilities (then the minimum of the cost is above 0);
    'threshold' binarises the data at `threshold`; 'stochastic' samples each pixel with its grey
    value as the probability (the "dynamically binarised MNIST" of Burda et al. 2016).
    """

    name = "bernoulli"
    density = False

    targets: Literal["soft", "threshold", "stochastic"]
    threshold: Probability

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        cost = F.binary_cross_entropy_with_logits(output, x, reduction="none")
        return cost.flatten(1).sum(1)

    @override
    def image(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    @override
    def target(self, x: Tensor, generator: Generator | None) -> Tensor:
        if self.targets == "stochastic":
            return torch.bernoulli(x, generator=generator)
        return self.expected(x)

    @override
    def expected(self, x: Tensor) -> Tensor:
        return (x > self.threshold).to(x.dtype) if self.targets == "threshold" else x

    @override
    def covers(self, x: Tensor) -> bool:
        return bool(((x == 0) | (x == 1)).all())

    @override
    def check(self, model: Model) -> None:
        need_logits(model, self.name)
        if self.targets == "threshold" and model.noise.active:
            raise UserError(
                "reconstruction.bernoulli.targets=threshold with a noise: it would be added to "
                "binary pixels in training and to grey ones afterwards",
                "use dataset.binarise=threshold instead",
            )


def need_logits(model: Model, name: str) -> None:
    """Raise UserError unless pixels are in [0, 1] and the decoder has no output activation."""
    if model.standardised:
        raise ConfigError(
            "dataset.range",
            "standardised",
            f"reconstruction={name} needs pixels in [0, 1]",
            {"reconstruction": "gaussian", "dataset.range": "unit"},
        )
    if model.output_activation is not None:
        raise UserError(
            f"reconstruction={name}, network.output_activation={model.output_activation}: "
            "it works on logits and applies the sigmoid itself",
            "use network.output_activation=null",
        )
