"""The perceptual loss: the error of features of a network that was trained beforehand."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.extractors import VGG, Extractor, SmallExtractor, trained_extractor
from aecore.model.passes import Model
from aecore.model.reconstruction.base import Reconstruction

_SEED = 101  # of the classifier, whatever the run's
_IMAGES = 500  # whose features are scaled to a mean square of 1
_SIDE = 4  # pixels, the smallest that can be halved twice


class Perceptual(Reconstruction):
    """The squared error of features, usually beside another loss (Johnson et al. 2016, eq. 2).

    The mean squared error of the features of each block of the network, scaled to a mean square of
    1 over training images, is averaged over blocks and multiplied by the number of values of an
    image, to be on the scale of other losses.

    weights: 'data' trains a small classifier of the labels of the training images, once, for
        `epochs` of at most 12,800 images; 'vgg' takes torchvision's VGG-16, for pixels in [0, 1].
    """

    name = "perceptual"
    likelihood = False

    weights: Literal["data", "vgg"]
    epochs: PositiveInt

    @override
    def connect(self, model: Model) -> None:
        channels = model.image_shape[0]
        self.extractor: Extractor = VGG() if self.weights == "vgg" else SmallExtractor(channels)
        self.extractor.requires_grad_(False)
        self.mean_square: Tensor
        self.register_buffer("mean_square", torch.ones(len(self.extractor.blocks)))

    @override
    def begin(self, model: Model, training: Split, seed: int) -> None:
        """Train or read the network; raises UserError without labels or weights."""
        device = model.shift.device
        if isinstance(self.extractor, VGG):
            self.extractor.load()
        else:
            if training.labels is None:
                raise UserError(
                    "reconstruction.perceptual.weights=data: a classifier is trained for its "
                    "features, and these images have no labels",
                    "use reconstruction.perceptual.weights=vgg",
                )
            trained = trained_extractor(training, model.normalise, self.epochs, _SEED, device)
            self.extractor.load_state_dict(trained.state_dict())
        some = training.pixels(torch.arange(min(len(training), _IMAGES)))
        squares = [f.square().mean() for f in self.extractor(model.normalise(some.to(device)))]
        self.mean_square.copy_(torch.stack(squares).clamp_min(1e-12))

    @override
    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        features, targets = self.extractor(output), self.extractor(x)
        pairs = zip(features, targets, self.mean_square, strict=True)
        errors = [(a - b).square().flatten(1).mean(1) / scale for a, b, scale in pairs]
        return x[0].numel() * torch.stack(errors).mean(0)

    @override
    def check(self, model: Model) -> None:
        channels, height, width = model.image_shape
        if min(height, width) < _SIDE:
            raise UserError(
                f"reconstruction=perceptual: it halves images twice, these are {height}x{width}",
                "leave it out",
            )
        if self.weights == "vgg" and (model.standardised or channels not in (1, 3)):
            raise UserError(
                "reconstruction.perceptual.weights=vgg: it sees grey or colour pixels in [0, 1]",
                "use dataset.range=unit, or reconstruction.perceptual.weights=data",
            )
