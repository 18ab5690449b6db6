"""Shapes for every image size, and the layers that the arguments ask for."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.networks.base import Activation, Network, activation_layer, flat
from aecore.model.networks.conv_unpool import ConvUnpool
from helpers.models import conv, gaussian, gen, images, linear, mlp, model, plain

SHAPES = st.tuples(st.sampled_from([1, 3, 4]), st.integers(8, 97), st.integers(8, 97))
DOWN = ("stride", "max", "average")


def through(network: Network, shape: Any, code_shape: tuple[int, ...] | None = None) -> None:
    """Two images to features of the promised shape, a code to images of the given shape."""
    with torch.no_grad():
        h = network.encoder(shape)(torch.zeros(2, *shape))
        assert h.shape == (2, *network.feature_shape(shape))
        code_shape = network.feature_shape(shape) if code_shape is None else code_shape
        assert network.decoder(code_shape, shape)(torch.zeros(2, *code_shape)).shape == (2, *shape)


class TestShapes:
    @settings(max_examples=60, deadline=None)
    @given(
        shape=SHAPES,
        channels=st.lists(st.integers(1, 4), min_size=1, max_size=3),
        kernel=st.sampled_from([3, 5, 7]),
        down=st.sampled_from(DOWN),
        vector=st.booleans(),
        ceil=st.booleans(),
    )
    def test_conv(
        self, shape: Any, channels: list[int], kernel: Any, down: str, vector: bool, ceil: bool
    ) -> None:
        network = conv(*channels, kernel_size=kernel, down=down, ceil_mode=ceil or down == "stride")
        through(network, shape, (5,) if vector else None)

    @settings(max_examples=20, deadline=None)
    @given(shape=SHAPES, hidden=st.lists(st.integers(1, 9), max_size=3))
    def test_dense(self, shape: Any, hidden: list[int]) -> None:
        through(mlp(*hidden), shape, (3,))
        through(linear(), shape, (3,))

    @pytest.mark.parametrize("side", range(2, 9))
    @pytest.mark.parametrize("down", DOWN)
    def test_small_images(self, side: int, down: str) -> None:
        through(conv(2, down=down), (1, side, 2))

    @pytest.mark.parametrize(("ceil", "side"), [(True, 4), (False, 3)])
    def test_odd_sides_are_halved_up_or_down(self, ceil: bool, side: int) -> None:
        network = conv(8, 16, 16, down="max", ceil_mode=ceil)
        assert network.feature_shape((1, 28, 28)) == (16, side, side)
        through(network, (1, 28, 28))

    def test_strided_convolutions_do_not_round_down(self) -> None:
        with pytest.raises(UserError, match="ceil_mode=false: strided"):
            conv(8, ceil_mode=False)

    def test_a_thin_feature_map_passes_through_the_decoder(self) -> None:
        through(conv(4, 8), (3, 13, 9), (2, 4, 3))

    @pytest.mark.parametrize(
        "latent", [plain(3), gaussian(3), Spatial(channels=2, activation=None)]
    )
    @pytest.mark.parametrize("down", DOWN)
    def test_every_odd_and_even_pair_through_a_model(self, latent: Latent, down: str) -> None:
        for height, width in ((9, 10), (10, 11), (11, 9)):
            shape = (2, height, width)
            whole = model(image_shape=shape, network=conv(3, 4, down=down), latent=latent)
            x = images(2, *shape)
            assert whole.encode(x).mean.shape == (2, *whole.code_shape)
            assert whole.reconstruct(x).shape == x.shape

    @pytest.mark.parametrize("shape", [(1, 8, 8), (1, 9, 9), (3, 64, 2), (3, 1, 30), (1, 5, 1)])
    def test_too_many_halvings(self, shape: Any) -> None:
        halved = min(side for side in shape[1:] if side > 1)
        fits = max(n for n in range(6) if halved > 2 ** (n - 1))
        if fits:
            through(conv(*[2] * fits), shape)
        with pytest.raises(UserError) as raised:
            model(image_shape=shape, network=conv(*[2] * (fits + 1)))
        message = str(raised.value)
        channels = ",".join(["2"] * (fits + 1))
        assert message.startswith(f"network.channels=[{channels}]: {fits + 1} halvings")
        assert f"{shape[1]}x{shape[2]}" in message and "network=mlp" in message

    def test_one_number_is_not_halved(self) -> None:
        with pytest.raises(UserError, match=r"1 halvings do not fit images of 1x1"):
            model(image_shape=(3, 1, 1), network=conv(2))


def kinds(module: nn.Module) -> list[str]:
    return [type(m).__name__ for m in module.modules() if not any(m.children())]


def widths(module: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in module.modules() if isinstance(m, nn.Linear)]


class TestLayers:
    def test_mlp_has_what_was_asked_for(self) -> None:
        network = mlp(
            5, 4, activation="gelu", norm="layer", dropout=0.5, output_activation="sigmoid"
        )
        block = ["Dense", "LayerNorm", "GELU", "Dropout"]
        assert kinds(network.encoder((1, 2, 3))) == ["Flatten", *block, *block]
        decoder = kinds(network.decoder((2,), (1, 2, 3)))
        assert decoder == ["Flatten", *block, *block, "Dense", "Sigmoid", "Unflatten"]

    def test_mlp_has_nothing_else(self) -> None:
        network = mlp(5, 4, activation=None)
        assert kinds(network.encoder((1, 2, 3))) == ["Flatten", "Dense", "Dense"]
        assert kinds(network.decoder((2,), (1, 2, 3))) == ["Flatten", *["Dense"] * 3, "Unflatten"]

    def test_conv_has_what_was_asked_for(self) -> None:
        network = conv(
            5, 4, activation="silu", norm="batch", dropout=0.5, output_activation="tanh", down="max"
        )
        after = ["BatchNorm2d", "SiLU", "Dropout2d"]
        assert kinds(network.encoder((1, 8, 8))) == ["Conv2d", *after, "MaxPool2d"] * 2
        up = ["ConvTranspose2d", *after, "ConvTranspose2d", "Tanh"]
        assert kinds(network.decoder((4, 2, 2), (1, 8, 8))) == up
        to_map = ["Flatten", "Dense", "SiLU", "Unflatten"]
        assert kinds(network.decoder((3,), (1, 8, 8))) == [*to_map, *up]

    def test_conv_has_nothing_else(self) -> None:
        network = conv(5, 4, activation=None)
        assert kinds(network.encoder((1, 8, 8))) == ["Conv2d"] * 2
        assert kinds(network.decoder((4, 2, 2), (1, 8, 8))) == ["ConvTranspose2d"] * 2

    def test_norms(self) -> None:
        assert "BatchNorm1d" in kinds(mlp(5, norm="batch").encoder((1, 2, 3)))
        assert "GroupNorm" in kinds(conv(5, norm="layer").encoder((1, 8, 8)))
        assert "AvgPool2d" in kinds(conv(5, down="average").encoder((1, 8, 8)))

    @pytest.mark.parametrize("network", [mlp, conv, linear])
    @pytest.mark.parametrize("bias", [True, False])
    def test_bias(self, network: Any, bias: bool) -> None:
        sizes = () if network is linear else (5, 4)
        built = network(*sizes, bias=bias)
        sides = [built.encoder((1, 8, 8)), built.decoder((2,), (1, 8, 8))]
        names = [name for side in sides for name, _ in side.named_parameters()]
        layers = sum(isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
                     for side in sides for m in side.modules())  # fmt: skip
        assert sum(name.endswith("bias") for name in names) == (layers if bias else 0)

    def test_the_decoder_mirrors_the_encoder(self) -> None:
        network = mlp(7, 5)
        assert widths(network.encoder((1, 2, 3))) == [(6, 7), (7, 5)]
        assert widths(network.decoder((2,), (1, 2, 3))) == [(2, 5), (5, 7), (7, 6)]
        decoder = conv(5, 4, 3).decoder((3, 1, 1), (2, 8, 8))
        ups = [m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
        assert [(m.in_channels, m.out_channels) for m in ups] == [(3, 4), (4, 5), (5, 2)]

    def test_or_has_widths_of_its_own(self) -> None:
        network = mlp(7, 5, decoder_hidden=[9])
        assert widths(network.decoder((2,), (1, 2, 3))) == [(2, 9), (9, 6)]
        assert widths(mlp(7, decoder_hidden=[]).decoder((2,), (1, 2, 3))) == [(2, 6)]

    @pytest.mark.parametrize("name", get_args(Activation))
    def test_activations_are_those_of_torch(self, name: Activation) -> None:
        x = torch.linspace(-3, 3, 13, dtype=torch.float64)
        slow = {
            "relu": x.clamp(min=0),
            "leaky_relu": torch.where(x > 0, x, 0.01 * x),
            "elu": torch.where(x > 0, x, x.exp() - 1),
            "gelu": x * torch.distributions.Normal(0.0, 1.0).cdf(x),
            "silu": x / (1 + (-x).exp()),
            "softplus": (1 + x.exp()).log(),
            "sigmoid": 1 / (1 + (-x).exp()),
            "tanh": (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
        }
        (layer,) = activation_layer(name)
        torch.testing.assert_close(layer(x), slow[name], rtol=1e-6, atol=1e-7)
        assert activation_layer(None) == []

    def test_flat(self) -> None:
        assert flat((2, 3, 4)) == 24 and flat(()) == 1


@pytest.mark.parametrize("latent", ["plain", "gaussian", "spatial", "thin"])
@pytest.mark.parametrize(
    "network",
    [
        linear(),
        linear(bias=False, output_activation="sigmoid"),
        mlp(6, 5),
        mlp(6, norm="batch", dropout=0.2, decoder_hidden=[4, 3]),
        mlp(6, norm="layer", output_activation="sigmoid"),
        *(conv(4, 3, down=down) for down in DOWN),
        conv(4, norm="batch", dropout=0.2),
        conv(4, norm="layer", kernel_size=5),
    ],
    ids=lambda n: type(n).__name__,
)
def test_every_parameter_gets_a_gradient(network: Network, latent: str) -> None:
    made: Latent = {
        "plain": plain(3, activation="tanh"),
        "gaussian": gaussian(3),
        "spatial": Spatial(channels=None, activation="tanh"),
        "thin": Spatial(channels=2, activation=None),
    }[latent]
    shape = (2, 8, 9)
    if isinstance(made, Spatial) and len(network.feature_shape(shape)) != 3:
        with pytest.raises(UserError, match=r"latent=spatial.*\n.*network=conv"):
            model(image_shape=shape, network=network, latent=made)
        return
    whole = model(image_shape=shape, network=network, latent=made)
    whole.terms(images(7, *shape), gen(), epoch=0, noisy=True).loss.backward()
    # a bias before a norm has the gradient 0 of an exact invariance: it must be there, no more
    for name, parameter in whole.named_parameters():
        assert parameter.grad is not None, name
        before_norm = network.norm is not None and name.endswith("bias")
        assert before_norm or bool(parameter.grad.abs().sum() > 0), name


@pytest.mark.parametrize(
    "change",
    [
        {"kernel_size": 4},
        {"kernel_size": 1},
        {"down": "unpool"},
        {"channels": []},
        {"channels": [0]},
        {"channels": [2.0]},
        {"activation": "rely"},
        {"norm": "group"},
        {"dropout": 1.5},
        {"dropout": float("nan")},
        {"bias": 1},
    ],
    ids=str,
)
def test_wrong_arguments(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        conv(*change.get("channels", [2]), **{k: v for k, v in change.items() if k != "channels"})


def unpooling(up: str = "conv", **changes: Any) -> ConvUnpool:
    """A small unpooling network."""
    settings = {"channels": [3, 5], "kernel_size": 3, "activation": "relu", "bias": True}
    return ConvUnpool(up=up, output_activation=None, **(settings | changes))  # type: ignore[arg-type]


class TestConvUnpool:
    @settings(max_examples=30, deadline=None)
    @given(
        height=st.integers(8, 40),
        width=st.integers(8, 40),
        channels=st.sampled_from([1, 3, 4]),
        up=st.sampled_from(["conv", "transposed"]),
    )
    def test_restores_every_size(self, height: int, width: int, channels: int, up: str) -> None:
        shape = (channels, height, width)
        network = unpooling(up)
        h, places = network.encoder(shape)(torch.rand(2, *shape))
        assert h.shape[1:] == network.feature_shape(shape)
        output = network.decoder(network.feature_shape(shape), shape)(h, places)
        assert output.shape == (2, *shape)

    def test_values_return_to_the_places_of_their_maxima(self) -> None:
        network = unpooling(channels=[1], activation=None)
        encoder, decoder = network.encoder((1, 6, 6)), network.decoder((1, 3, 3), (1, 6, 6))
        identity = torch.zeros(1, 1, 3, 3)
        identity[..., 1, 1] = 1
        with torch.no_grad():
            for module in (*encoder.modules(), *decoder.modules()):
                if isinstance(module, torch.nn.Conv2d):
                    module.weight.copy_(identity)
                    assert module.bias is not None
                    module.bias.zero_()
        x = torch.rand(1, 1, 6, 6)
        output = decoder(*encoder(x))
        kept = output != 0
        assert kept.sum() == 9
        assert torch.equal(output[kept], x[kept])
        largest = torch.nn.functional.max_pool2d(x, 2)
        assert torch.equal(torch.nn.functional.max_pool2d(output, 2), largest)

    def test_nothing_is_decoded_without_the_places(self) -> None:
        whole = model(network=unpooling(), latent=gaussian(4), image_shape=(1, 8, 8)).eval()
        x = torch.rand(3, 1, 8, 8)
        code = whole.encode(x)
        assert torch.equal(whole.decode(code.mean, code.context), whole.reconstruct(x))
        assert not whole.can_sample
        with pytest.raises(UserError, match="network=conv"):
            whole.decode(code.mean)
        with pytest.raises(UserError, match="network=conv"):
            whole.sample(2, None)

    def test_too_many_poolings(self) -> None:
        with pytest.raises(UserError, match=r"network\.channels"):
            unpooling(channels=[1, 1, 1, 1]).feature_shape((1, 8, 8))
