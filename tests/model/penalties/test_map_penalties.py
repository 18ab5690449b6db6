"""Penalties on the maps themselves: the decoder's Jacobian and weights, the encoder's matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.deterministic import Spatial
from aecore.model.networks.base import Network
from aecore.model.networks.conv_unpool import ConvUnpool
from aecore.model.passes import Pass
from aecore.model.penalties.gradient import GradientPenalty
from aecore.model.penalties.l2 import DecoderL2
from aecore.model.penalties.orthogonal import Orthogonal
from aecore.model.reconstruction.bernoulli import Bernoulli
from helpers.models import conv, gaussian, gen, linear, mlp, model, plain
from helpers.passes import passed, same


def slow_norm(p: Pass) -> Tensor:
    """||d image / d z||^2 of each image by torch's own Jacobian, one image at a time, (N,)."""
    norms = []
    for i, z in enumerate(p.code.z):
        context = tuple(part[i : i + 1] for part in p.code.context)
        jacobian = torch.autograd.functional.jacobian(
            lambda v, context=context: p.model.decode(v[None], context), z.detach()
        )
        norms.append(jacobian.square().sum())
    return torch.stack(norms)


def unpooling() -> ConvUnpool:
    return ConvUnpool(
        channels=[3], kernel_size=3, up="conv", activation="tanh", output_activation=None, bias=True
    )


SENTENCES = {
    "mlp": {"network": mlp(6)},
    "deep": {"network": mlp(7, 5, activation="gelu"), "latent": gaussian(3)},
    "relu": {"network": mlp(9, activation="relu", norm="layer")},
    "conv": {"network": conv(3), "latent": Spatial(channels=2, activation=None)},
    "unpool": {"network": unpooling(), "latent": plain(4)},
    "logits": {"reconstruction": Bernoulli(targets="soft", threshold=0.5)},
    "standardised": {"shift": torch.full((1, 1, 1), 0.3), "scale": torch.full((1, 1, 1), 2.0)},
}


def whole_of(name: str) -> Autoencoder:
    return model(image_shape=(1, 6, 6), **SENTENCES[name]).double()


class TestGradient:
    @pytest.mark.parametrize("name", SENTENCES)
    def test_is_the_jacobian_of_the_decoder(self, name: str) -> None:
        p = passed(whole_of(name), generator=gen())
        expected = slow_norm(p)
        assert float(expected.min()) > 0
        found = GradientPenalty(method="exact", samples=1)(p)
        same(found.detach(), expected)
        with torch.no_grad():  # as in evaluation
            unseen = passed(whole_of(name), generator=gen())
            assert not unseen.code.z.requires_grad
            found = GradientPenalty(method="exact", samples=1)(unseen)
        same(found.detach(), expected)
        assert not unseen.code.z.requires_grad, "the pass is left as it was"

    @pytest.mark.parametrize("name", ["mlp", "conv"])
    def test_the_estimate_is_unbiased(self, name: str) -> None:
        p = passed(whole_of(name), n=2, generator=gen())
        with torch.no_grad():
            draws = torch.stack(
                [GradientPenalty(method="estimate", samples=2)(p) for _ in range(800)]
            )
        error = draws.std(0) / 800**0.5
        assert bool(((draws.mean(0) - slow_norm(p)).abs() < 4.5 * error).all())
        assert float((error / draws.mean(0)).max()) < 0.05

    @pytest.mark.parametrize("method", ["exact", "estimate"])
    def test_gradients_reach_decoder_and_encoder(self, method: str) -> None:
        whole = whole_of("mlp")
        penalty = GradientPenalty(method=method, samples=1)  # type: ignore[arg-type]
        penalty(passed(whole, generator=gen())).mean().backward()
        for part in (whole.encoder, whole.latent, whole.decoder):
            assert any(bool(w.grad is not None and w.grad.any()) for w in part.parameters())

    def test_its_gradient_is_that_of_the_norm(self) -> None:
        """Of a linear decoder z -> W z + b the norm is ||W||^2, so its gradient is 2 W."""
        whole = model(network=linear()).double()
        layer = whole.decoder[1]
        assert isinstance(layer, nn.Linear)
        cost = GradientPenalty(method="exact", samples=1)(passed(whole))
        same(cost.detach(), layer.weight.detach().square().sum().expand(4))
        cost.mean().backward()
        same(layer.weight.grad, 2 * layer.weight.detach())

    def test_batch_norm(self) -> None:
        with pytest.raises(UserError, match=r"gradient with network\.norm=batch.*\n.*norm=layer"):
            model(
                network=mlp(5, norm="batch"),
                penalties={"gradient": GradientPenalty(method="exact", samples=1)},
            )


def test_decoder_l2() -> None:
    whole = model(network=mlp(5)).double()
    expected = sum(float((w.detach() ** 2).sum()) for w in whole.decoder.parameters())
    assert DecoderL2()(passed(whole)).tolist() == pytest.approx([expected] * 4, rel=1e-12)


class TestOrthogonal:
    @pytest.mark.parametrize(
        "network", [linear(), mlp(7, 5, activation=None)], ids=["linear", "deep"]
    )
    def test_is_the_distance_of_the_encoders_matrix(self, network: Network) -> None:
        whole = model(network=network, penalties={"orthogonal": Orthogonal()}).double()
        units = torch.eye(16, dtype=torch.float64).view(16, 1, 4, 4)
        with torch.no_grad():
            base = whole.encode(torch.zeros_like(units)).mean
            matrix = (whole.encode(units).mean - base).T  # (3, 16)
            expected = (matrix @ matrix.T - torch.eye(3, dtype=torch.float64)).square().sum()
            found = Orthogonal()(passed(whole))
        torch.testing.assert_close(found, expected.expand(4), rtol=1e-10, atol=0)

    def test_orthonormal_rows_cost_nothing(self) -> None:
        whole = model(network=linear()).double()
        layer = whole.latent.project[1]
        with torch.no_grad():
            layer.weight.copy_(torch.linalg.qr(layer.weight.T)[0].T)
        same(Orthogonal()(passed(whole)).detach(), torch.zeros(4, dtype=torch.float64))

    def test_needs_one_linear_map(self) -> None:
        penalties = {"orthogonal": Orthogonal()}
        for words in (
            {"network": mlp(5)},
            {"network": linear(), "latent": plain(3, activation="relu")},
            {"network": linear(), "latent": gaussian(3)},
            {"network": conv(3), "latent": Spatial(channels=None, activation=None)},
        ):
            with pytest.raises(UserError, match=r"orthogonal.*\n.*network=linear"):
                model(penalties=penalties, **words)

    def test_more_units_than_pixels(self) -> None:
        with pytest.raises(UserError, match=r"latent\.dim=16 or less"):
            model(network=linear(), latent=plain(17), penalties={"orthogonal": Orthogonal()})
