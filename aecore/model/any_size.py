"""Fully convolutional models with images of other sizes than those of their training."""

from __future__ import annotations

from copy import copy, deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.types import ImageShape, Shape

_HINT = "a model of network=conv or resnet with latent=spatial takes images of any size"


class AnySize:
    """A fully convolutional model for images of any size, with the weights of its training.

    An image is padded at its right and lower border with copies of its last column and row, to the
    next size that differs from the trained one by a multiple of `Network.side_multiple`; for
    such sizes the layers are the same. The reconstruction is cropped to the size of the image.

    model: the trained model. Its weights are shared, not copied.
    Raises UserError, with the reason, for a model whose weights fit one size alone.
    """

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self._models = {model.image_shape: model}
        if model.classes is not None:
            raise _one_size(model, "its class planes have a weight for each pixel")
        if max(model.shift.shape[1:]) > 1:
            raise _one_size(model, "each column is standardised by its own mean")
        channels, *sides = model.image_shape
        height, width = (side if side == 1 else side + self._multiple for side in sides)
        if not self._multiple or not self._fits((channels, height, width)):
            raise _one_size(model, "it has fully connected layers")

    @property
    def _multiple(self) -> int:
        return self.model.network.side_multiple

    def check(self, shape: ImageShape) -> None:
        """Raise UserError for images (C, H, W) that differ in more than their size.

        They do by their channels, and where they alone are series, (C, 1, T), or the model's are.
        """
        trained = self.model.image_shape
        if shape[0] != trained[0] or [n == 1 for n in shape[1:]] != [n == 1 for n in trained[1:]]:
            sizes = ["x".join(map(str, sides)) for sides in (shape, trained)]
            problem = f"its images are {sizes[0]}, this model was trained on {sizes[1]}"
            raise UserError(f"dataset: {problem}")

    def reconstruct(self, x: Tensor) -> Tensor:
        """The reconstructions of pixels (N, C, H, W), of their shape, which `check` accepts."""
        height, width = x.shape[2:]
        model = self.at(height, width)
        more = model.image_shape[1] - height, model.image_shape[2] - width
        padded = F.pad(x, (0, more[1], 0, more[0]), mode="replicate") if any(more) else x
        return model.reconstruct(padded)[:, :, :height, :width]

    def at(self, height: int, width: int) -> Autoencoder:
        """The model of such images once they are padded."""
        channels, own_height, own_width = self.model.image_shape
        shape = channels, self._padded(height, own_height), self._padded(width, own_width)
        if shape not in self._models:
            self._models[shape] = self._made(shape)
        return self._models[shape]

    def _padded(self, side: int, trained: int) -> int:
        if side == trained:
            return side
        padded = side + (trained - side) % self._multiple
        return padded if padded >= self._multiple else padded + self._multiple

    def _made(self, shape: ImageShape) -> Autoencoder:
        made = copy(self.model)
        made.image_shape = shape
        made.code_shape, parts = self._parts(shape)
        for name, part in parts.items():
            part.load_state_dict(self.model.get_submodule(name).state_dict(), assign=True)
        made._modules = {**self.model._modules, **parts}
        return made.train(self.model.training)

    def _fits(self, shape: ImageShape) -> bool:
        """Whether the layers for images of a shape are the trained ones."""
        _, parts = self._parts(shape)
        return _layers({name: self.model.get_submodule(name) for name in parts}) == _layers(parts)

    def _parts(self, shape: ImageShape) -> tuple[Shape, dict[str, nn.Module]]:
        """The shape of a code, and encoder, latent and decoder of images (C, H, W), untrained."""
        network, latent = self.model.network, deepcopy(self.model.latent)
        with torch.device("meta"):  # takes neither memory nor random numbers
            code_shape = latent.attach(network.feature_shape(shape))
            encoder, decoder = network.encoder(shape), network.decoder(code_shape, shape)
        return code_shape, {"encoder": encoder, "latent": latent, "decoder": decoder}


def _layers(parts: dict[str, nn.Module]) -> list[object]:
    """Names and options of all layers, as PyTorch prints them, and the shapes of their weights."""
    return [
        (str(part), {name: value.shape for name, value in part.state_dict().items()})
        for part in parts.values()
    ]


def _one_size(model: Autoencoder, reason: str) -> UserError:
    size = "x".join(map(str, model.image_shape[1:]))
    return UserError(f"this model takes images of {size} alone: {reason}", _HINT)
