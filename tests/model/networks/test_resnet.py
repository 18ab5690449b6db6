"""Residual networks: shapes of all sizes, blocks that add, nothing around the code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.networks.resnet import Residual, ResNet
from helpers.models import gaussian, gen, images, model, plain


def resnet(*channels: int, **changes: Any) -> ResNet:
    values: dict[str, Any] = {
        "channels": list(channels),
        "blocks": 1,
        "kernel_size": 3,
        "activation": "relu",
        "output_activation": None,
        "bias": True,
        "groups": 2,
    }
    return ResNet(**(values | changes))


@settings(max_examples=40, deadline=None)
@example(shape=(1, 8, 8), channels=[1] * 3, kernel=3, blocks=1, groups=1, vector=False)
@example(shape=(1, 8, 8), channels=[2] * 3, kernel=3, blocks=1, groups=3, vector=True)
@given(
    shape=st.tuples(st.sampled_from([1, 3]), st.integers(8, 97), st.integers(8, 97)),
    channels=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kernel=st.sampled_from([3, 5]),
    blocks=st.integers(0, 2),
    groups=st.sampled_from([None, 1, 3]),
    vector=st.booleans(),
)
def test_shapes(
    shape: Any, channels: list[int], kernel: Any, blocks: int, groups: Any, vector: bool
) -> None:
    network = resnet(*channels, kernel_size=kernel, blocks=blocks, groups=groups)
    features = network.feature_shape(shape)
    with torch.no_grad():
        assert network.encoder(shape)(torch.zeros(1, *shape)).shape == (1, *features)
        code = (5,) if vector else (2, *features[1:])
        assert network.decoder(code, shape)(torch.zeros(1, *code)).shape == (1, *shape)


@pytest.mark.parametrize("latent", [plain(3), gaussian(3), Spatial(channels=2, activation=None)])
def test_through_a_model(latent: Latent) -> None:
    whole = model(image_shape=(2, 9, 10), network=resnet(3, 4), latent=latent)
    x = images(2, 2, 9, 10)
    assert whole.encode(x).mean.shape == (2, *whole.code_shape)
    assert whole.reconstruct(x).shape == x.shape


def test_too_many_halvings() -> None:
    with pytest.raises(UserError, match=r"network\.channels=\[2,2,2,2,2\]: 5 halvings"):
        model(image_shape=(1, 8, 8), network=resnet(2, 2, 2, 2, 2))


def test_a_block_adds_to_what_comes_in() -> None:
    network = resnet(4, blocks=2)
    blocks = [m for m in network.encoder((1, 8, 8)).modules() if isinstance(m, Residual)]
    assert len(blocks) == 2
    x = torch.randn(2, 4, 5, 5, generator=gen())
    layers = list(blocks[0])
    kinds = [nn.GroupNorm, nn.ReLU, nn.Conv2d]
    assert [type(m) for m in layers] == kinds * 2
    torch.testing.assert_close(blocks[0](x), x + nn.Sequential(*layers)(x))
    with torch.no_grad():
        layers[-1].weight.zero_()
        layers[-1].bias.zero_()
    assert torch.equal(blocks[0](x), x)


@pytest.mark.parametrize(("groups", "found"), [(8, 6), (4, 3), (1, 1), (None, None)])
def test_the_groups_divide_the_channels(groups: int | None, found: int | None) -> None:
    parts = resnet(6, groups=groups).encoder((1, 8, 8)).modules()
    numbers = {m.num_groups for m in parts if isinstance(m, nn.GroupNorm)}
    assert numbers == ({found} if found else set())


@pytest.mark.parametrize("bias", [True, False])
def test_bias(bias: bool) -> None:
    network = resnet(4, groups=None, bias=bias)
    sides = [network.encoder((1, 8, 8)), network.decoder((3,), (1, 8, 8))]
    names = [name for side in sides for name, _ in side.named_parameters()]
    assert any(name.endswith("bias") for name in names) == bias


def test_activations() -> None:
    decoder = resnet(4, activation="silu", output_activation="sigmoid").decoder((3,), (1, 8, 8))
    kinds = [type(m) for m in decoder.modules()]
    assert kinds[-1] is nn.Sigmoid and nn.SiLU in kinds and nn.ReLU not in kinds


def test_nothing_passes_by_the_code() -> None:
    whole = model(image_shape=(1, 9, 9), network=resnet(4, 4), latent=plain(3)).double()
    x = images(1, 1, 9, 9, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(whole.reconstruct, x).view(81, 81)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-9) <= 3


def test_images_do_not_mix() -> None:
    whole = model(image_shape=(1, 9, 9), network=resnet(4, 4), latent=plain(3)).double()
    x = images(4, 1, 9, 9, dtype=torch.float64)
    alone = torch.cat([whole.reconstruct(x[n : n + 1]) for n in range(4)])
    torch.testing.assert_close(whole.reconstruct(x), alone, rtol=1e-12, atol=1e-13)
