"""Series (C, 1, T): the networks of images are the one-dimensional ones along T."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.gaussian_map import GaussianMap
from aecore.model.networks.base import Halving
from aecore.model.networks.conv import Conv
from aecore.model.networks.conv_unpool import ConvUnpool
from aecore.model.networks.resnet import Residual, ResNet
from helpers.models import conv, gaussian, gen, images, model, plain

KINDS = ("conv", "max", "average", "floor", "unpool", "unpool_transposed", "resnet")


def network(kind: str, *channels: int, kernel_size: Any = 3) -> Halving:
    """A small network of a kind."""
    if kind.startswith("unpool"):
        return ConvUnpool(
            channels=list(channels),
            kernel_size=kernel_size,
            up="transposed" if kind.endswith("transposed") else "conv",
            activation="relu",
            output_activation=None,
            bias=True,
        )
    if kind == "resnet":
        return ResNet(
            channels=list(channels),
            blocks=1,
            kernel_size=kernel_size,
            activation="relu",
            output_activation=None,
            bias=True,
            groups=2,
        )
    down = {"conv": "stride", "floor": "max"}.get(kind, kind)
    return conv(*channels, kernel_size=kernel_size, down=down, ceil_mode=kind != "floor")


def in_one_dimension(layer: nn.Module, x: Tensor) -> Tensor:
    """What the one-dimensional layer with the same weights makes of (N, C, T)."""
    if isinstance(layer, nn.Conv2d):
        one = nn.Conv1d(
            layer.in_channels, layer.out_channels, layer.kernel_size[1],
            layer.stride[1], layer.padding[1],
        )  # fmt: skip
    elif isinstance(layer, nn.ConvTranspose2d):
        one = nn.ConvTranspose1d(
            layer.in_channels, layer.out_channels, layer.kernel_size[1],
            layer.stride[1], layer.padding[1], layer.output_padding[1],
        )  # fmt: skip
    else:
        return layer(x)
    assert layer.bias is not None
    one.load_state_dict({"weight": layer.weight.squeeze(2), "bias": layer.bias})
    return one(x)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    channels=st.sampled_from([1, 2]),
    lying=st.booleans(),
    levels=st.integers(1, 3),
    more=st.integers(0, 70),
    kernel=st.sampled_from([3, 5, 7]),
)
def test_every_length_is_restored(
    kind: str, channels: int, lying: bool, levels: int, more: int, kernel: Any
) -> None:
    length = 2**levels + more
    shape = (channels, 1, length) if lying else (channels, length, 1)
    for latent in (Spatial(channels=None, activation=None), GaussianMap(channels=2), plain(3)):
        if kind.startswith("unpool") and isinstance(latent, GaussianMap):
            continue
        made = network(kind, *[2] * levels, kernel_size=kernel)
        whole = model(image_shape=shape, network=made, latent=latent)
        x = images(2, *shape)
        assert whole.reconstruct(x).shape == x.shape
        assert whole.code_shape == (3,) or 1 in whole.code_shape[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_shorter_ones_are_refused(kind: str) -> None:
    with pytest.raises(UserError, match=r"3 halvings do not fit images of 1x4"):
        model(image_shape=(2, 1, 4), network=network(kind, 2, 2, 2))
    up = not (kind == "floor" or kind.startswith("unpool"))
    assert network(kind, 2, 2, 2).sizes((2, 1, 9))[-1] == (1, 2 if up else 1)


@pytest.mark.parametrize("length", [8, 13, 30])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("ceil", [True, False])
def test_conv_is_the_network_of_one_dimension(length: int, kernel: Any, ceil: bool) -> None:
    """Conv1d, MaxPool1d, ConvTranspose1d with the same weights."""
    shape = (2, 1, length)
    made: Conv = conv(3, 4, kernel_size=kernel, down="max", ceil_mode=ceil)
    x = torch.randn(2, *shape, generator=gen())
    encoder, h = made.encoder(shape), x.squeeze(2)
    for layer in encoder.children():
        if isinstance(layer, nn.MaxPool2d):
            h = F.max_pool1d(h, 2, ceil_mode=ceil)
        else:
            h = in_one_dimension(layer, h)
    features = encoder(x)
    torch.testing.assert_close(features, h.unsqueeze(2))
    decoder = made.decoder(tuple(features.shape[1:]), shape)
    for layer in decoder.children():
        h = in_one_dimension(layer, h)
    torch.testing.assert_close(decoder(features), h.unsqueeze(2))


def test_strided_conv_is_the_network_of_one_dimension() -> None:
    shape = (1, 1, 21)
    made = conv(3, 4, kernel_size=5)
    x = torch.randn(2, *shape, generator=gen())
    encoder = made.encoder(shape)
    h = x.squeeze(2)
    for layer in encoder.children():
        h = in_one_dimension(layer, h)
    assert h.shape == (2, 4, 6)
    torch.testing.assert_close(encoder(x), h.unsqueeze(2))


def test_resnet_is_the_network_of_one_dimension() -> None:
    shape = (2, 1, 21)
    made = network("resnet", 4, 6)
    x = torch.randn(2, *shape, generator=gen())

    def through(layers: nn.Module, h: Tensor) -> Tensor:
        for layer in layers.children():
            if isinstance(layer, Residual):
                h = h + through(layer, h)
            elif type(layer).__name__ == "Enlarge":
                size: Any = layer.size
                h = F.interpolate(h, size=size[1], mode="nearest")
            else:
                h = in_one_dimension(layer, h)
        return h

    encoder = made.encoder(shape)
    decoder = made.decoder(made.feature_shape(shape), shape)
    h = through(encoder, x.squeeze(2))
    torch.testing.assert_close(encoder(x), h.unsqueeze(2), rtol=1e-4, atol=1e-5)
    output = through(decoder, h).unsqueeze(2)
    torch.testing.assert_close(decoder(encoder(x)), output, rtol=1e-4, atol=1e-5)


def test_unpooling_is_that_of_one_dimension() -> None:
    shape = (2, 1, 11)
    made = network("unpool", 3)
    x = torch.randn(2, *shape, generator=gen())
    encoder, decoder = made.encoder(shape), made.decoder((3, 1, 5), shape)
    (convolution, activation), (last,) = encoder.stages[0], decoder.stages[0]
    h, places = F.max_pool1d(
        activation(in_one_dimension(convolution, x.squeeze(2))), 2, return_indices=True
    )
    y = F.max_unpool1d(h, places, 2, output_size=[11])
    output = decoder(*encoder(x))
    torch.testing.assert_close(output, in_one_dimension(last, y).unsqueeze(2))


@pytest.mark.parametrize("latent", [plain(3), gaussian(3), Spatial(channels=2, activation=None)])
@pytest.mark.parametrize("kind", ["conv", "max", "resnet"])
def test_every_parameter_gets_a_gradient(kind: str, latent: Latent) -> None:
    whole = model(image_shape=(2, 1, 17), network=network(kind, 3, 4), latent=latent)
    whole.terms(images(7, 2, 1, 17), gen(), epoch=0, noisy=True).loss.backward()
    for name, parameter in whole.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name
