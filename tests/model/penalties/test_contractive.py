"""The contractive penalty against torch's own Jacobian."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Generator, Tensor, nn

from aecore.errors import UserError
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.topk import TopK
from aecore.model.networks.base import Activation, Network
from aecore.model.noise.noises import GaussianNoise
from aecore.model.penalties.contractive import (
    jacobian_norm,
    mean_code,
    shallow_layers,
    shallow_norm,
)
from aecore.model.penalties.projections import estimated_norm
from aecore.types import Shape
from helpers.models import contractive, conv, gaussian, gen, images, linear, mlp, model, plain
from helpers.passes import passed, same, slow_norm

ACTIVATIONS: list[Activation | None] = [None, *get_args(Activation)]
SMOOTH = ["elu", "gelu", "silu", "softplus", "sigmoid", "tanh", None]


class TestContractiveDense:
    @pytest.mark.parametrize("last", ACTIVATIONS)
    @pytest.mark.parametrize("layers", [1, 2, 3])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_is_the_norm_of_the_jacobian(self, activation: Any, layers: int, last: Any) -> None:
        network = mlp(*[7, 5][: layers - 1], activation=activation)
        whole = model(network=network, latent=plain(3, activation=last)).double()
        p = passed(whole)
        expected = slow_norm(whole, p.x_in)
        assert float(expected.min().detach()) > 0
        same(jacobian_norm(*mean_code(p)), expected)
        activations = (layers - 1) * (activation is not None) + (last is not None)
        shallow = shallow_layers(whole)
        assert (shallow is not None) == (activations <= 1)
        if shallow is not None:
            same(shallow_norm(shallow, p), expected)

    def test_is_estimated_for_deep_encoders(self) -> None:
        few, many = (model(network=mlp(*hidden)).double() for hidden in ([20], [20, 20]))
        for whole, exact in ((few, True), (many, False)):
            first, second = (contractive()(passed(whole, 3, gen(seed))) for seed in (1, 2))
            assert torch.equal(first, second) == exact

    @settings(max_examples=25, deadline=None)
    @given(
        hidden=st.lists(st.integers(1, 24), max_size=3),
        dim=st.integers(1, 20),
        bias=st.booleans(),
        activations=st.tuples(*[st.sampled_from(ACTIVATIONS)] * 2),
    )
    def test_of_any_widths(
        self, hidden: list[int], dim: int, bias: bool, activations: tuple[Any, Any]
    ) -> None:
        whole = model(
            network=mlp(*hidden, activation=activations[0], bias=bias),
            latent=plain(dim, activation=activations[1], bias=bias),
        ).double()
        p = passed(whole, 2)
        same(contractive("exact")(p), slow_norm(whole, p.x_in))

    def test_linear_network(self) -> None:
        whole = model(network=linear(), latent=plain(3)).double()
        matrix = whole.latent.project[1].weight
        same(contractive()(passed(whole)), matrix.square().sum().expand(4))

    def test_one_sigmoid_layer(self) -> None:
        """Rifai et al. 2011: sum_j (h_j (1 - h_j))^2 sum_i W_ji^2."""
        whole = model(network=linear(), latent=plain(5, activation="sigmoid")).double()
        p = passed(whole)
        h, matrix = p.code.mean, whole.latent.project[1].weight
        same(contractive()(p), (h * (1 - h)).square() @ matrix.square().sum(1))

    @pytest.mark.parametrize("layers", [1, 2, 3])
    @pytest.mark.parametrize("last", [None, "sigmoid"])
    @pytest.mark.parametrize("activation", SMOOTH)
    def test_its_gradient(self, activation: Any, layers: int, last: Any) -> None:
        whole = model(
            network=mlp(*[6, 5][: layers - 1], activation=activation),
            latent=plain(3, activation=last),
        ).double()
        p = passed(whole, 3)
        parameters = [*whole.encoder.parameters(), *whole.latent.parameters()]

        def gradients(norm: Tensor) -> list[Tensor]:
            found = torch.autograd.grad(norm.mean(), parameters, allow_unused=True)
            zeros = [torch.zeros_like(v) for v in parameters]
            return [z if g is None else g for g, z in zip(found, zeros, strict=True)]

        expected = gradients(slow_norm(whole, p.x_in, create_graph=True))
        assert sum(float(g.abs().sum()) for g in expected) > 1e-5
        for fast in (contractive("exact")(p), jacobian_norm(*mean_code(p))):
            for a, b in zip(gradients(fast), expected, strict=True):
                same(a, b)

    def test_dropout_is_off_in_evaluation(self) -> None:
        whole = model(network=mlp(6, 5, dropout=0.5)).double().eval()
        p = passed(whole)
        same(contractive("exact")(p), slow_norm(whole, p.x_in))


class TestContractiveAnyEncoder:
    @pytest.mark.parametrize(
        ("network", "latent"),
        [
            (conv(3, 2), plain(4)),
            (conv(3, down="max", activation="elu"), Spatial(channels=1, activation="sigmoid")),
            (conv(3, down="average"), Spatial(channels=None, activation=None)),
            (conv(3, norm="layer"), gaussian(2)),
            (mlp(5), gaussian(2)),
            (mlp(5, 4, norm="layer"), plain(2)),
            (mlp(5), TopK(dim=6, k=2, alpha=1.0, restart_weight=0.0, patience=5)),
        ],
        ids=lambda w: type(w).__name__,
    )
    def test_exact(self, network: Network, latent: Latent) -> None:
        whole = model(image_shape=(2, 6, 5), network=network, latent=latent).double()
        p = passed(whole, 3)
        same(contractive("exact")(p), slow_norm(whole, p.x_in))

    @pytest.mark.parametrize("network", [conv(3), mlp(5)], ids=type)
    def test_the_estimate_is_unbiased(self, network: Network) -> None:
        whole = model(image_shape=(1, 5, 4), network=network, latent=plain(4)).double()
        p = passed(whole, 2, gen(1))
        many, n = contractive("estimate", samples=1), 1500
        draws = torch.stack([many(p).detach() for _ in range(n)])
        exact = slow_norm(whole, p.x_in).detach()
        assert bool((draws.std(0) > 0).all())
        assert ((draws.mean(0) - exact) / (draws.std(0) / n**0.5)).abs().max() < 4

    @pytest.mark.parametrize("network", [conv(3), mlp(5)], ids=type)
    def test_the_estimate_of_one_unit_is_exact(self, network: Network) -> None:
        """A sign alone: its square is one."""
        whole = model(network=network, latent=plain(1)).double()
        p = passed(whole, 3, gen(1))
        same(contractive("estimate", samples=3)(p), slow_norm(whole, p.x_in))

    def test_more_samples_average(self) -> None:
        whole = model().double()
        one = passed(whole, 2, gen(1))
        singles = torch.stack([estimated_norm(*mean_code(one), 1, one.generator) for _ in range(5)])
        same(contractive("estimate", samples=5)(passed(whole, 2, gen(1))), singles.mean(0))

    def test_auto(self) -> None:
        for network, exact in ((mlp(5), True), (linear(), True), (conv(3), False)):
            whole = model(network=network).double()
            p, again = passed(whole, 3, gen(1)), passed(whole, 3, gen(1))
            fast = contractive("auto")(p)
            expected = (
                slow_norm(whole, p.x_in)
                if exact
                else estimated_norm(*mean_code(again), 1, again.generator)
            )
            same(fast, expected)
            # signs of a Hadamard estimate are never those of the exact norm by chance here
            other = (
                estimated_norm(*mean_code(again), 1, again.generator)
                if exact
                else slow_norm(whole, p.x_in)
            )
            assert not torch.allclose(fast, other, rtol=1e-6)

    def test_at_the_noisy_input(self) -> None:
        whole = model(noise=GaussianNoise(std=1.0), latent=plain(3, activation="tanh")).double()
        x = images(3, 1, 4, 4, dtype=torch.float64)
        p = whole.run(x, gen(), noisy=True, sample=False)
        same(contractive("exact")(p), slow_norm(whole, p.x_in))
        assert not torch.allclose(slow_norm(whole, p.x_in), slow_norm(whole, x), rtol=1e-3)

    @pytest.mark.parametrize("method", ["auto", "exact", "estimate"])
    @pytest.mark.parametrize("network", [conv(3), mlp(5)], ids=type)
    def test_under_no_grad(self, network: Network, method: str) -> None:
        whole = model(network=network).double()
        with torch.no_grad():
            quiet = contractive(method)(passed(whole, 3, gen(1)))
        same(quiet, contractive(method)(passed(whole, 3, gen(1))))

    @pytest.mark.parametrize("activation", ["tanh", "gelu"])
    @pytest.mark.parametrize("method", ["auto", "estimate"])
    def test_frozen_weights(self, method: str, activation: Any) -> None:
        words = {"network": mlp(5, activation=activation), "latent": plain(3, activation="tanh")}
        whole = model(**words).double().requires_grad_(False)
        assert contractive(method)(passed(whole, 2, gen(1))).shape == (2,)

    @pytest.mark.parametrize("network", [mlp(5, norm="batch"), conv(3, norm="batch")], ids=type)
    def test_refuses_batch_norm(self, network: Network) -> None:
        with pytest.raises(UserError, match=r"^penalty=contractive with network\.norm=batch"):
            model(network=network, penalties={"contractive": contractive()})

    def test_refuses_batch_norm_in_the_latent(self) -> None:
        with pytest.raises(UserError, match="batch-normalised"):
            model(latent=Normalised(), penalties={"contractive": contractive()})

    @pytest.mark.parametrize("change", [{"method": "fast"}, {"samples": 0}, {"samples": 1.5}])
    def test_wrong_arguments(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match=next(iter(change))):
            contractive(**change)


class Normalised(Latent):
    """A code that is batch-normalised after its projection."""

    def attach(self, feature_shape: Shape) -> Shape:
        self.project = nn.Sequential(nn.Linear(feature_shape[0], 2), nn.BatchNorm1d(2))
        return (2,)

    def forward(self, h: Tensor, generator: Generator | None, sample: bool) -> Code:
        z = self.project(h)
        return Code(z, z)
