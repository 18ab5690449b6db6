"""Fully convolutional models on images of sizes that they were not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aecore.errors import UserError
from aecore.model.any_size import AnySize
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.fsq import FSQ
from aecore.model.latents.gaussian_map import GaussianMap
from aecore.model.latents.vq import VQ
from aecore.model.networks.base import Network
from aecore.model.networks.conv_unpool import ConvUnpool
from aecore.model.networks.resnet import ResNet
from helpers.models import conv, gen, images, linear, mlp, model, plain

SPATIAL = Spatial(channels=2, activation=None)
UNPOOL = ConvUnpool(
    channels=[3, 2], kernel_size=3, up="conv", activation="relu", output_activation=None, bias=True
)


def resnet(*channels: int, groups: int | None = 2) -> ResNet:
    return ResNet(
        channels=list(channels), blocks=1, kernel_size=3, activation="relu",
        output_activation=None, bias=True, groups=groups,
    )  # fmt: skip


NETWORKS = {
    "stride": conv(3, 4),
    "average": conv(3, 4, down="average", kernel_size=5),
    "floor": conv(3, 4, down="max", ceil_mode=False, norm="batch"),
    "unpool": UNPOOL,
    "resnet": resnet(3, 4),
}
VECTORS = VQ(
    codebook_size=5, dim=3, tokens=None, commitment=0.25, update="ema", decay=0.9,
    restart_below=0.1, distance="euclidean",
)  # fmt: skip
MAPS = {
    "spatial": SPATIAL,
    "gaussian_map": GaussianMap(channels=2),
    "vq": VECTORS,
    "fsq": FSQ(levels=[5, 3], tokens=None),
}


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    trained=st.tuples(st.integers(8, 15), st.integers(8, 15)),
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    latent=st.sampled_from(sorted(MAPS)),
)
def test_an_image_of_any_size_keeps_it(
    name: str, trained: tuple[int, int], size: tuple[int, int], latent: str
) -> None:
    if name == "unpool":
        latent = "spatial"
    network = NETWORKS[name]
    own = Spatial(channels=None, activation=None) if name == "unpool" else MAPS[latent]
    whole = model(image_shape=(2, *trained), network=network, latent=own).eval()
    any_size = AnySize(whole)
    x = images(3, 2, *size)
    made = any_size.at(*size)
    assert all((n - own) % 4 == 0 and n >= side for n, own, side in
               zip(made.image_shape[1:], trained, size, strict=True))  # fmt: skip
    with torch.no_grad():
        found = any_size.reconstruct(x)
        (height, width), (most, widest) = size, made.image_shape[1:]
        around = ((0, 0), (0, 0), (0, most - height), (0, widest - width))
        padded = torch.from_numpy(np.pad(x.numpy(), around, mode="edge"))
        expected = made.reconstruct(padded)[:, :, :height, :width]
    assert found.shape == x.shape and torch.equal(found, expected)
    assert made.code_shape == tuple(made.encode(padded).mean.shape[1:])


@pytest.mark.parametrize("side", [32, 33])
@pytest.mark.parametrize(
    "network", [conv(3), conv(3, down="max", ceil_mode=False), resnet(3, groups=None)]
)
def test_far_from_the_border_it_is_the_trained_model(network: Network, side: int) -> None:
    """Layers see a neighbourhood alone: a window of a large image is reconstructed as in it."""
    whole = model(image_shape=(1, side, side), network=network, latent=SPATIAL).double().eval()
    x = images(2, 1, 32 + side, 32 + side, dtype=torch.float64)
    top, left = 8, 12  # multiples of the stride
    window = x[:, :, top : top + side, left : left + side]
    with torch.no_grad():
        inside = whole.reconstruct(window)[:, :, 13:-13, 13:-13]
        found = AnySize(whole).reconstruct(x)[:, :, top : top + side, left : left + side]
    torch.testing.assert_close(found[:, :, 13:-13, 13:-13], inside)


def test_the_weights_are_the_trained_ones() -> None:
    whole = model(image_shape=(1, 8, 8), network=conv(3, 4), latent=SPATIAL).eval()
    any_size, before = AnySize(whole), torch.get_rng_state()
    made = any_size.at(19, 30)
    assert torch.equal(torch.get_rng_state(), before), "building draws nothing"
    assert made.image_shape == (1, 20, 32) and any_size.at(20, 31) is made
    assert any_size.at(8, 8) is whole
    assert whole.image_shape == (1, 8, 8), "and is not changed"
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.zero_()
    assert not any_size.reconstruct(images(2, 1, 19, 30)).any(), "shared, not copied"


def test_each_channel_keeps_its_statistics() -> None:
    shift, scale = (torch.tensor(v)[:, None, None] for v in ([3.0, -5.0], [2.0, 0.1]))
    whole = model(
        image_shape=(2, 8, 8), network=conv(3), latent=SPATIAL, shift=shift, scale=scale
    ).eval()
    with torch.no_grad():
        for parameter in whole.decoder.parameters():
            parameter.zero_()
    found = AnySize(whole).reconstruct(torch.randn(1, 2, 5, 7, generator=gen()))
    assert torch.equal(found, shift.expand(2, 5, 7)[None])


def test_a_long_series() -> None:
    whole = model(image_shape=(2, 1, 20), network=conv(3, 4), latent=SPATIAL).eval()
    any_size = AnySize(whole)
    any_size.check((2, 1, 1001))
    assert any_size.reconstruct(images(2, 2, 1, 1001)).shape == (2, 2, 1, 1001)
    for shape in ((1, 1, 20), (2, 8, 20), (2, 20, 1)):
        with pytest.raises(UserError, match=r"trained on 2x1x20"):
            any_size.check(shape)


def fixed(**changes: Any) -> Autoencoder:
    options = {"image_shape": (1, 8, 8), "network": conv(3, 4), "latent": SPATIAL}
    return model(**(options | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": mlp(5), "latent": plain(3)}, "fully connected"),
        ({"network": linear(), "latent": plain(3)}, "fully connected"),
        ({"latent": plain(3)}, "fully connected"),
        ({"network": UNPOOL, "latent": plain(3)}, "fully connected"),
        ({"latent": FSQ(levels=[3], tokens=4)}, "fully connected"),
        ({"classes": 3}, "class planes"),
        (
            {"image_shape": (1, 1, 8), "shift": torch.zeros(1, 1, 8), "scale": torch.ones(1, 1, 8)},
            "each column is standardised",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights_for_one_size(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=rf"images of \dx8 alone: .*{reason}.*\n.*latent=spatial"):
        AnySize(fixed(**changes))


def test_norms_that_depend_on_the_size_are_noticed() -> None:
    """At one position the group norm of one channel is left out; at more it is there."""
    with pytest.raises(UserError, match="images of 4x4 alone"):
        AnySize(fixed(image_shape=(1, 4, 4), network=resnet(2, 1)))
