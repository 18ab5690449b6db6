"""The first weights: Glorot's variances, an output that shows the mean image, and nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.conditioning import PLANES
from aecore.model.latents.flow import FlowLatent
from aecore.model.layers import WEIGHTED
from aecore.model.module import leaves
from aecore.model.networks.base import Activation, Network, activation_layer
from aecore.model.networks.conv_unpool import ConvUnpool
from aecore.model.networks.resnet import ResNet
from aecore.model.penalties.factor import Factor
from aecore.model.penalties.kl import KL
from aecore.model.priors.vamp import Vamp
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.continuous_bernoulli import ContinuousBernoulli
from aecore.training.config_checker import ConfigChecker
from aecore.training.init import LIMIT, Init, mean_image, output_bias, shown_by
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment
from helpers.models import conv, gaussian, images, linear, mlp, model, plain

SHAPE = (2, 8, 8)


def unpooling(**changes: Any) -> ConvUnpool:
    values: dict[str, Any] = {"up": "conv", "output_activation": None, "bias": True}
    return ConvUnpool(channels=[4, 8], kernel_size=3, activation="relu", **(values | changes))


def residual(**changes: Any) -> ResNet:
    values: dict[str, Any] = {"output_activation": None, "bias": True, "groups": 2}
    return ResNet(channels=[4, 8], blocks=1, kernel_size=3, activation="relu", **(values | changes))


def deep(**changes: Any) -> Network:
    return mlp(40, 30, **changes)


def halving(**changes: Any) -> Network:
    return conv(4, 8, **changes)


NETWORKS = (linear, deep, halving, unpooling, residual)


def soft(targets: Any = "soft") -> Bernoulli:
    return Bernoulli(targets=targets, threshold=0.5)


def training() -> Split:
    """Images of many means, one pixel always black, one always white."""
    grey = images(100, *SHAPE) * torch.linspace(0.2, 1, 8)
    grey[:, 0, 0, 0], grey[:, 1, 0, 0] = 0, 1
    return Split((grey * 255).to(torch.uint8))


def begun(whole: Autoencoder, **changes: Any) -> Autoencoder:
    """The same model after it was given its first weights."""
    init = Init(**({"weights": "glorot", "output": "pytorch"} | changes))
    init.check(whole)
    init.begin(whole, training())
    return whole


def layers(*sides: nn.Module) -> list[Any]:
    """The matrices and convolutions."""
    return [layer for side in sides for layer in leaves(side) if isinstance(layer, WEIGHTED)]


def bias_of(whole: Autoencoder) -> Tensor:
    """The output's bias."""
    bias = output_bias(whole)
    assert bias is not None
    return bias


def test_by_default_not_a_bit_is_moved() -> None:
    config = compose(parse(["model=vae", "figures=none"])).config
    start, at = prepare(build_experiment(config)).state_dict(), torch.get_rng_state()
    config["init"] = {}
    same = prepare(build_experiment(config)).state_dict()
    assert start.keys() == same.keys() and all(torch.equal(start[k], same[k]) for k in same)
    assert torch.equal(torch.get_rng_state(), at)


@pytest.mark.parametrize("network", NETWORKS)
def test_glorot(network: Any) -> None:
    start = begun(model(image_shape=SHAPE, network=network(), latent=gaussian(20)))
    found = layers(start.encoder, start.latent, start.decoder)
    assert len(found) > 1
    for layer in found:
        weight = layer.weight.detach()
        field = math.prod(weight.shape[2:])
        variance = 2 / (field * (weight.shape[0] + weight.shape[1]))
        assert float(weight.abs().max()) <= math.sqrt(3 * variance)
        spread = 5 * math.sqrt(0.8 / weight.numel())  # the kurtosis of a uniform is 1.8
        assert float(weight.square().mean()) == pytest.approx(variance, rel=spread)
        assert not layer.bias.any()


def test_critics_and_priors_keep_their_weights() -> None:
    def made() -> Autoencoder:
        penalties = {"factor": Factor(critic_lr=0.01, units=8, layers=2), "kl": KL()}
        prior = Vamp(components=3, start="noise")
        return model(image_shape=SHAPE, latent=gaussian(3), penalties=penalties, prior=prior)

    drawn, start = made().state_dict(), begun(made()).state_dict()
    kept = {k for k in drawn if torch.equal(drawn[k], start[k])}
    assert kept > {"prior.logits"}
    assert {k.partition(".")[0] for k in drawn.keys() - kept} == {"encoder", "latent", "decoder"}


def test_a_flow_still_begins_as_the_identity() -> None:
    latent = FlowLatent(dim=4, transforms=2, hidden=[8], context=3)
    begun_flow = begun(model(image_shape=SHAPE, latent=latent)).latent
    assert isinstance(begun_flow, FlowLatent)
    u = images(5, 4)
    moved, log_det = begun_flow.warp(u, torch.ones(5, 3))
    assert torch.equal(moved, u) and not log_det.any()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("likelihood", "activation"), [(False, None), (True, None), (False, "sigmoid")]
)
def test_the_output_shows_the_mean_image(network: Any, likelihood: bool, activation: Any) -> None:
    said: dict[str, Any] = {"reconstruction": soft()} if likelihood else {}
    start = model(image_shape=SHAPE, network=network(output_activation=activation), **said)
    begun(start, output="mean_image").eval()
    last = layers(start.decoder)[-1]
    nn.init.zeros_(last.weight)
    x = training().pixels()
    mean = x.double().mean(0)
    if last.bias.numel() == 2:  # of a convolution
        mean = mean.mean((1, 2), keepdim=True).expand(SHAPE)
    with torch.no_grad():
        shown = start.reconstruct(x[:2]).double()
    bound = 1 / (1 + math.exp(LIMIT))
    wanted = mean.clamp(bound, 1 - bound) if likelihood or activation else mean
    torch.testing.assert_close(shown, wanted.expand_as(shown), rtol=0, atol=1e-6)


def test_the_mean_is_that_of_what_is_reconstructed() -> None:
    x = training().pixels().double()
    shift, scale = torch.full((1, 1, 1), 0.4), torch.full((1, 1, 1), 0.2)
    for said, wanted in (
        ({"reconstruction": soft()}, x),
        ({"reconstruction": soft("stochastic")}, x),
        ({"reconstruction": soft("threshold")}, (x > 0.5).double()),
        ({"shift": shift, "scale": scale}, (x - 0.4) / 0.2),
    ):
        found = mean_image(model(image_shape=SHAPE, **said), training())
        torch.testing.assert_close(found, wanted.mean(0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [None, *get_args(Activation)])
def test_every_output_activation_is_undone(name: Any) -> None:
    whole = model(network=mlp(6, output_activation=name))
    image = torch.linspace(0.002, 0.99, 16, dtype=torch.float64).view(1, 4, 4)
    shown = nn.Sequential(*activation_layer(name))(shown_by(whole, image))
    torch.testing.assert_close(shown, image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("likelihood", [soft(), ContinuousBernoulli()])
def test_every_likelihood_is_undone(likelihood: Reconstruction) -> None:
    image = torch.linspace(0.2, 0.8, 16, dtype=torch.float64).view(1, 4, 4)
    whole = model(reconstruction=likelihood)
    shown = whole.reconstruction.image(shown_by(whole, image))
    torch.testing.assert_close(shown, image, rtol=0, atol=1e-12)


def raw(value: float, **said: Any) -> float:
    """What stands for one number."""
    found: Tensor = shown_by(model(**said), torch.full((1, 4, 4), value, dtype=torch.float64))
    return float(found[0, 0, 0])


def test_what_cannot_be_shown_is_approached() -> None:
    assert raw(0.0, reconstruction=soft()) == pytest.approx(-LIMIT)
    assert raw(1.0, reconstruction=soft()) == pytest.approx(LIMIT)
    cut = {"network": mlp(6, output_activation="relu")}
    assert raw(0.0, **cut) == raw(-3.0, **cut) == 0  # at the edge, where training can move it
    assert raw(1e4) == pytest.approx(1e4, rel=1e-15) and raw(-31.7) == pytest.approx(-31.7)


def test_the_output_alone() -> None:
    plainly, start = model(image_shape=SHAPE), model(image_shape=SHAPE)
    begun(start, weights="pytorch", output="mean_image")
    a, b = plainly.state_dict(), start.state_dict()
    changed = [k for k in a if not torch.equal(a[k], b[k])]
    assert len(changed) == 1
    assert b[changed[0]].data_ptr() == bias_of(start).data_ptr()


def test_a_model_that_is_told_the_class() -> None:
    drawn = model(image_shape=SHAPE, classes=3).state_dict()
    start = begun(model(image_shape=SHAPE, classes=3), output="mean_image")
    assert torch.equal(start.state_dict()[PLANES], drawn[PLANES])
    assert bias_of(start).numel() == math.prod(SHAPE)


@pytest.mark.parametrize("network", NETWORKS)
def test_no_bias_no_image(network: Any) -> None:
    with pytest.raises(UserError, match=r"init\.output=mean_image: the decoder's last layer"):
        begun(model(image_shape=SHAPE, network=network(bias=False)), output="mean_image")
    begun(model(image_shape=SHAPE, network=network(bias=False)))


@pytest.mark.parametrize("decoder", [nn.Flatten(), nn.Linear(3, 5)])
def test_a_decoder_of_ones_own_without_an_image_in_its_bias(decoder: nn.Module) -> None:
    odd = model(image_shape=SHAPE, latent=plain(3))
    odd.decoder = decoder
    with pytest.raises(UserError, match="no bias for the image"):
        begun(odd, output="mean_image")


def test_it_is_refused_before_a_sweep_begins() -> None:
    config = compose(parse(["model=ae", "init=mean_image", "network.bias=false"])).config
    with pytest.raises(UserError, match=r"use network\.bias=true, or init\.output=pytorch"):
        ConfigChecker().check(config)


def test_a_run_says_how_it_began_and_takes_weights_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["model=ae", "network.hidden=[8]", "trainer.limit_batches=1", "trainer.max_epochs=1"]
    small += ["figures=none", "logger=none", "init=mean_image", "optimizer.lr=1e-30"]
    assert main([*small, "hydra.run.dir=a"]) == 0
    assert main([*small, "hydra.run.dir=b", "init_from=a", "seed=1"]) == 0
    assert json.loads(Path("a/run.json").read_text())["choices"]["init"] == "mean_image"
    a, b = (torch.load(f"{x}/checkpoints/last.ckpt", weights_only=True) for x in "ab")
    torch.testing.assert_close(a["state_dict"], b["state_dict"], rtol=0, atol=1e-20)
    before = json.loads(Path("a/metrics.json").read_text())["test/mse"]
    assert before < 0.1  # the mean image's, nearly; as PyTorch draws it is 0.3
