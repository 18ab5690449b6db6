"""The initialisation of weights and of the output bias."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from aecore.config.component import Component
from aecore.data.split import Split, to_pixels
from aecore.errors import ConfigError
from aecore.model.autoencoder import Autoencoder
from aecore.model.layers import WEIGHTED
from aecore.model.module import leaves
from aecore.model.networks.base import activation_layer, flat

LIMIT = 6.9  # the largest logit of a pixel: those of probabilities from 0.001 to 0.999
_HALVINGS = 60


class Init(Component):
    """Initialises encoder, latent and decoder; priors and critics are not changed.

    weights: 'pytorch' keeps that of the layers; 'glorot' draws each matrix and convolution
        uniformly within +-sqrt(6 / (fan_in + fan_out)), all biases 0 (Glorot & Bengio 2010,
        eq. 16). Weights that are 0, as a flow's last layers, are kept.
    output: 'pytorch' keeps the output's bias; 'mean_image' sets it so that the decoder shows the
        mean training image where all else is 0, as the code of Burda et al. 2016 does (for
        convolutions, whose bias is per channel, the mean of each channel). Training need not learn
        it first.
    """

    weights: Literal["pytorch", "glorot"]
    output: Literal["pytorch", "mean_image"]

    def check(self, model: Autoencoder) -> None:
        """Raise ConfigError if the output has no bias."""
        if self.output == "pytorch":
            return
        bias = output_bias(model)
        channels = model.image_shape[0]
        if bias is None or bias.numel() not in (channels, flat(model.image_shape)):
            raise ConfigError(
                "init.output",
                "mean_image",
                "the decoder's last layer has no bias for the image",
                {"network.bias": True, "init.output": "pytorch"},
            )

    @torch.no_grad()
    def begin(self, model: Autoencoder, training: Split) -> None:
        """Set the weights of a model that `check` accepts; uses PyTorch's default generator.

        model: on the CPU. training: the training images.
        """
        if self.weights == "glorot":
            for side in (model.encoder, model.latent, model.decoder):
                _glorot(side)
        if self.output == "mean_image":
            bias = output_bias(model)
            assert bias is not None, "check() comes first"
            image = mean_image(model, training)
            if bias.numel() < image.numel():
                image = image.mean((1, 2), keepdim=True)
            bias.copy_(shown_by(model, image).flatten())


def _glorot(side: nn.Module) -> None:
    for layer in leaves(side):
        if isinstance(layer, WEIGHTED) and bool(layer.weight.any()):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def output_bias(model: Autoencoder) -> Tensor | None:
    """The bias of the decoder's last matrix or convolution; None if there is none."""
    layers = [layer for layer in leaves(model.decoder) if isinstance(layer, WEIGHTED)]
    return layers[-1].bias if layers else None


def mean_image(model: Autoencoder, training: Split) -> Tensor:
    """The mean of the targets of the model, in its own range, (C, H, W) float64."""
    total = torch.zeros(model.image_shape, dtype=torch.float64)
    for part in training.of_targets.parts(training.part_size):
        shown = model.reconstruction.expected(model.normalise(to_pixels(part)))
        total += shown.sum(0, dtype=torch.float64)
    return total / len(training)


def shown_by(model: Autoencoder, image: Tensor) -> Tensor:
    """The input of the output activation that gives an image in the model's range.

    By bisection, as every activation and `Reconstruction.image` is increasing. Values that are
    never reached, as 0 by a sigmoid, are approached up to LIMIT; of inputs with equal outputs, as
    those below 0 of a ReLU, the largest is used, which has a gradient.
    """
    activation = nn.Sequential(*activation_layer(model.output_activation))
    largest = max(LIMIT, float(image.abs().max()))
    low, high = torch.full_like(image, -largest), torch.full_like(image, largest)

    def shown(raw: Tensor) -> Tensor:
        return model.reconstruction.image(activation(raw))

    image = image.clamp(shown(low), shown(high))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = shown(middle) > image
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return low
