"""What every latent says of itself, and the gradients of its densities."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.api.create import create
from aecore.config.folders import builtin_options
from aecore.model.codes import Pathwise
from aecore.model.latents.base import Latent
from helpers.gradients import check_gradient
from helpers.models import gen, images, model

KEYS: dict[str, dict[str, Any]] = {"categorical": {"epochs": 1}}
FLAGS: dict[str, set[str]] = {
    "variational": {"categorical", "flow", "gaussian", "hypersphere"},
    "layered": {"deterministic", "deterministic_small", "deterministic_wide"},
    "gaussian": {"gaussian"},
    "relaxed": {"categorical"},
    "pathwise": {"gaussian", "hypersphere"},
    "sequential": {"flow"},
    "codebook_size": {"categorical", "fsq", "vq"},
}
SMOOTH = sorted(set(builtin_options("latent")) - {"fsq", "vq"})


def made(option: str) -> Latent:
    latent: Latent = create(f"latent={option}", **KEYS.get(option, {}))
    return latent


def test_what_each_is() -> None:
    every = {option: made(option) for option in builtin_options("latent")}
    for flag, options in FLAGS.items():
        assert {name for name, one in every.items() if getattr(one, flag)} == options, flag
    assert {name for name, one in every.items() if one.smooth} == set(SMOOTH)
    assert [name for name, one in every.items() if not one.shared_codebook] == ["categorical"]


@pytest.mark.parametrize("option", sorted(FLAGS["variational"]))
def test_no_part_of_a_density_is_held_fixed(option: str) -> None:
    """By the weights that make the posterior, and by the code."""
    whole = model(latent=made(option)).double().eval()
    x = images(4, 1, 4, 4, dtype=torch.float64)
    given = whole.encode(x, gen(1)).z.detach()
    given.requires_grad_(not whole.latent.relaxed)

    def part(name: str) -> Tensor | None:
        posterior = whole.encode(x).posterior
        assert posterior is not None
        return {
            "log_prob": posterior.log_prob(given),
            "mean": posterior.mean,
            "variance": posterior.variance,
            "kl": posterior.kl_standard(),
        }[name]

    for name in ("log_prob", "mean", "variance", "kl"):
        if part(name) is not None:
            check_gradient(partial(part, name), [given, *whole.parameters()])  # type: ignore[arg-type]


@pytest.mark.parametrize("option", sorted(FLAGS["pathwise"]))
def test_a_detached_density_is_a_function_of_the_code_alone(option: str) -> None:
    posterior = model(latent=made(option)).encode(images(4, 1, 4, 4)).posterior
    assert isinstance(posterior, Pathwise)
    z = posterior.sample(gen()).detach()
    fixed = posterior.detached()
    assert torch.equal(fixed.log_prob(z), posterior.log_prob(z))
    assert posterior.log_prob(z).requires_grad and not fixed.log_prob(z).requires_grad
    assert not fixed.mean.requires_grad and not fixed.variance.requires_grad


@pytest.mark.parametrize(
    ("option", "changes", "names"),
    [
        ("topk", {"restart_weight": 0.1}, {"restart"}),
        ("topk", {"restart_weight": 0.0}, set()),
        ("vq", {"update": "ema"}, {"commitment"}),
        ("vq", {"update": "gradient"}, {"commitment", "codebook"}),
        ("gaussian", {}, set()),
    ],
)
def test_costs_have_the_names_that_are_announced(
    option: str, changes: dict[str, Any], names: set[str]
) -> None:
    words = {"tokens": 2} if option == "vq" else {}
    latent = create(f"latent={option}", **words, **changes)
    whole = model(latent=latent)
    code = whole.run(images(4, 1, 4, 4), gen(), noisy=True, sample=True).code
    assert set(latent.cost_names) == set(code.costs) == names
