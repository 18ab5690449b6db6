"""A single term of the reconstruction, wherever it comes from; several: test_beside.py."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aecore.api.create import create
from aecore.config.arguments import parse
from aecore.config.build import resolve
from aecore.config.compose import compose
from aecore.config.folders import builtin_options
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.components import build_reconstruction
from aecore.model.penalties.weight import WEIGHT_KEYS
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from aecore.training.setup import build_experiment
from helpers.bounds import check_bounds
from helpers.gradients import check_gradient
from helpers.models import images, model

OPTIONS = sorted(builtin_options("reconstruction"))
# presets and experiments with a loss of their own
LOSSES = [
    f"{group}={name}"
    for group in ("model", "experiment")
    for name, file in sorted(builtin_options(group).items())
    if re.search(r"\breconstruction\b", file.read_text())
]
MSE_NODE = {"_target_": "aecore.model.reconstruction.errors.MSE"}


class Halved(MSE):
    """A class from elsewhere, which names no option."""

    name = ""


@cache
def config_of(*overrides: str) -> dict[str, Any]:
    """Not to be changed."""
    return compose(parse([*overrides, "figures=none"])).config


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_holds_one_term_under_the_name_of_its_class(option: str) -> None:
    ((name, node),) = config_of("model=ae", f"reconstruction={option}")["reconstruction"].items()
    assert resolve(node, name, Reconstruction).name == name
    assert name in OPTIONS


def test_a_list_of_one_is_the_term_alone() -> None:
    assert config_of("model=vae", "reconstruction=[mse]") == config_of(
        "model=vae", "reconstruction=mse"
    )


def test_there_is_a_term() -> None:
    with pytest.raises(UserError, match=r"^reconstruction=\[\]: no term"):
        build_reconstruction({})


@pytest.mark.parametrize("choice", LOSSES)
def test_another_loss_replaces_that_of_a_preset(choice: str) -> None:
    replaced = config_of(choice, "reconstruction=l1")["reconstruction"]
    assert replaced == config_of("reconstruction=l1")["reconstruction"]


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (MSE(), "mse"),
        (GaussianLikelihood(scale=0.5), "gaussian"),
        (Bernoulli(targets="threshold", threshold=0.4), "bernoulli"),
    ],
)
def test_a_model_of_python_records_what_the_command_line_does(
    loss: Reconstruction, name: str
) -> None:
    node = model(reconstruction=loss).nodes["reconstruction"]
    assert [*node] == [name]
    built, weights, others = build_reconstruction(node)
    assert type(built) is type(loss) and not weights and not others
    typed = config_of("model=ae", f"reconstruction={name}")["reconstruction"]
    assert node[name].keys() == typed[name].keys() - set(WEIGHT_KEYS)


def test_a_class_from_elsewhere_is_recorded_by_its_own_name() -> None:
    assert [*model(reconstruction=Halved()).nodes["reconstruction"]] == ["Halved"]


def test_values_below_the_name_are_those_of_create() -> None:
    overrides = ["model=vae", "reconstruction=gaussian", "reconstruction.gaussian.scale=0.1"]
    built = build_experiment(config_of(*overrides)).components.reconstruction
    created = create("reconstruction=gaussian", scale=0.1)
    assert isinstance(built, GaussianLikelihood) and isinstance(created, GaussianLikelihood)
    assert built.variance == created.variance == pytest.approx(0.01)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_command_line_and_python_train_the_same_model(option: str) -> None:
    """Configured and created losses give the same numbers, bit for bit, in the same terms."""
    components = build_experiment(config_of("model=ae", f"reconstruction={option}")).components
    torch.manual_seed(0)
    configured = components.autoencoder((1, 8, 8))
    torch.manual_seed(0)
    created = Autoencoder(
        image_shape=(1, 8, 8),
        network=components.network,
        latent=components.latent,
        reconstruction=create(f"reconstruction={option}"),
    )
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    one, two = (
        whole.terms(x, torch.Generator().manual_seed(2), epoch=0.0, noisy=True)
        for whole in (configured, created)
    )
    assert next(iter(one.values)) == "reconstruction"
    assert one.values.keys() == two.values.keys() == one.weights.keys()
    assert all(torch.equal(one.values[key], two.values[key]) for key in one.values)
    assert torch.equal(one.loss, two.loss)


@pytest.mark.parametrize("count", [0, 2])
def test_create_takes_options_of_one_term(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reconstruction").mkdir()
    node = {f"term{number}": MSE_NODE for number in range(count)}
    (tmp_path / "reconstruction" / "mine.yaml").write_text(yaml.safe_dump(node))
    monkeypatch.setenv("AECORE_CONFIG_DIR", str(tmp_path))
    with pytest.raises(UserError, match=f"reconstruction=mine: {count} terms"):
        create("reconstruction=mine")


@pytest.mark.parametrize("option", OPTIONS)
def test_no_part_of_a_cost_is_held_fixed(option: str) -> None:
    """Of the output of the decoder and what the term learns itself, but for a critic."""
    whole = model(image_shape=(1, 22, 22), reconstruction=create(f"reconstruction={option}"))
    term = whole.double().reconstruction
    output, x = (images(3, 1, 22, 22, seed=s, dtype=torch.float64) for s in (1, 2))
    critic = {p for rival in whole.adversaries.values() for p in rival.critic.parameters()}
    own = [p for p in term.parameters() if p not in critic]
    check_gradient(lambda: term(output, x), [output.requires_grad_(), *own])


@pytest.mark.parametrize("option", OPTIONS)
def test_a_likelihood_sums_to_one(option: str) -> None:
    """Over all that a pixel may be, given any output; the others have no constant."""
    term = create(f"reconstruction={option}")
    if not term.likelihood:
        assert term.log_constant(9) == 0
        return
    bound = (0.0, 1.0) if option == "continuous_bernoulli" else (-40.0, 40.0)
    x = torch.linspace(*bound, 400_001, dtype=torch.float64)
    x = x if term.density else torch.tensor([0.0, 1.0], dtype=torch.float64)
    pixels = x.view(-1, 1, 1, 1)
    density = (term.log_constant(1) - term.double()(torch.full_like(pixels, 0.7), pixels)).exp()
    total = torch.trapezoid(density, x) if term.density else density.sum()
    assert float(total.detach()) == pytest.approx(1, abs=1e-6)
    assert term.log_constant(7) == pytest.approx(7 * term.log_constant(1))
    assert term.density is (option != "bernoulli")
    if term.variance is not None:
        near, far = term(
            torch.zeros(2, 1, 1, 1), torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
        ).tolist()
        assert far - near == pytest.approx((9 - 1) / (2 * term.variance))


def test_bounds() -> None:
    check_bounds("reconstruction=adversarial", "channels", [[1, 1]], [[], [0, 0]])
    check_bounds("reconstruction=ms_ssim", "scales", [1, 5], [0, 6])
    create("reconstruction=adversarial", channels=[3], layer=1)
