"""The penalties of a code, several at once, and their weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.distributions import Normal, kl_divergence

from aecore.api.create import create
from aecore.config.folders import builtin_options
from aecore.errors import UserError
from aecore.model.latents.base import Latent
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.topk import TopK
from aecore.model.networks.base import Network
from aecore.model.objectives.bounds import Iwae
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.reconstruction.adversarial import AdversarialReconstruction
from helpers.gradients import check_gradient
from helpers.models import (
    contractive,
    conv,
    gaussian,
    gen,
    images,
    linear,
    mlp,
    model,
    plain,
    weight,
)
from helpers.passes import passed, same, slow_norm


class TestOthers:
    def test_l1(self) -> None:
        spatial = Spatial(channels=None, activation=None)
        for words in ({}, {"network": conv(3), "latent": spatial}, {"latent": gaussian(3)}):
            whole = model(**words).double()
            x = images(4, 1, 4, 4, dtype=torch.float64)
            p = whole.run(x, gen(), noisy=False, sample=True)
            expected = [sum(abs(v) for v in row) for row in p.code.z.flatten(1).tolist()]
            assert L1Penalty()(p).tolist() == pytest.approx(expected, rel=1e-14)

    def test_kl(self) -> None:
        whole = model(latent=gaussian(3)).double()
        p = passed(whole)
        mean, raw = whole.latent.project(p.h).chunk(2, 1)
        q = Normal(mean, (10 * (raw / 10).tanh() / 2).exp())
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        same(KL()(p), kl_divergence(q, prior).sum(1))

    @pytest.mark.parametrize(
        ("network", "latent"),
        [(mlp(5), plain(3)), (conv(3), Spatial(channels=None, activation=None))],
        ids=lambda w: type(w).__name__,
    )
    def test_kl_needs_a_posterior(self, network: Network, latent: Latent) -> None:
        with pytest.raises(UserError, match=r"penalty=kl: .*\n.*latent=gaussian"):
            model(network=network, latent=latent, penalties={"kl": KL()})

    def test_several_at_once(self) -> None:
        whole = model(
            latent=gaussian(3),
            penalties={"kl": KL(), "l1": L1Penalty(), "contractive": contractive("exact")},
            weights={"kl": weight(4.0), "l1": weight(0.0), "contractive": weight(0.1)},
        ).double()
        x = images(5, 1, 4, 4, dtype=torch.float64)
        terms = whole.terms(x, gen(), epoch=0, noisy=True)
        p = whole.run(x, gen(), noisy=True, sample=True)
        expected = {
            "reconstruction": (p.output - x).square().sum() / 5,
            "kl": KL()(p).mean(),
            "l1": p.code.z.abs().sum() / 5,
            "contractive": slow_norm(whole, x).mean(),
        }
        assert list(terms.values) == list(expected)
        for name, value in expected.items():
            same(terms.values[name], value)
        total = expected["reconstruction"] + 4 * expected["kl"] + 0.1 * expected["contractive"]
        same(terms.loss, total)


def vae_gan() -> AdversarialReconstruction:
    return AdversarialReconstruction(realism=0.1, channels=[2], units=3, layer=1, critic_lr=0.01)


def top_k(restart_weight: float) -> TopK:
    return TopK(dim=4, k=2, alpha=1.0, restart_weight=restart_weight, patience=5)


class TestNames:
    """What is told of a loss goes by name, so no penalty may be called as another part of it."""

    @pytest.mark.parametrize(
        ("name", "whose", "sentence"),
        [
            ("reconstruction", "a term of every loss", {}),
            ("loss", "the sum of all terms", {}),
            ("mse", "a metric of every model", {}),
            ("kl", "the KL to the prior", {"latent": gaussian(3)}),
            ("realism", "a cost of the reconstruction", {"reconstruction": vae_gan()}),
            ("reconstruction_critic", "the critic of rec", {"reconstruction": vae_gan()}),
            ("restart", "a cost of the latent", {"latent": top_k(0.1)}),
            ("iwae", "the term of the obj", {"latent": gaussian(3), "objective": Iwae(samples=2)}),
        ],
    )
    def test_those_of_the_other_words_are_taken(
        self, name: str, whose: str, sentence: dict[str, Any]
    ) -> None:
        with pytest.raises(UserError, match=f"penalty.{name}: this name is taken by {whose}"):
            model(penalties={name: L1Penalty()}, **sentence)

    def test_they_are_free_where_no_word_has_them(self) -> None:
        for latent, name in ((plain(3), "realism"), (top_k(0.0), "restart"), (plain(3), "iwae")):
            terms = model(latent=latent, penalties={name: L1Penalty()}).terms(
                images(3, 1, 4, 4), gen(), epoch=0, noisy=True
            )
            assert list(terms.values) == ["reconstruction", name]

    def test_two_penalties(self) -> None:
        with pytest.raises(
            UserError, match=r"l1_weighted: .* by the weighted penalty\.l1\n  choose"
        ):
            model(penalties={"l1": L1Penalty(), "l1_weighted": L1Penalty()})

    @pytest.mark.parametrize("name", ["train", "", "a.b"])
    def test_what_is_no_name_of_a_part(self, name: str) -> None:
        with pytest.raises(UserError, match=rf"penalty\.{name}: not a valid name of a penalty"):
            model(penalties={name: L1Penalty()})


class TestWeight:
    def test_constant(self) -> None:
        for epoch in (0, 0.5, 7, float("inf")):
            assert weight(0.3, "constant", 5).at(epoch) == 0.3

    def test_linear(self) -> None:
        rising = weight(4.0, "linear", 10)
        expected = {0: 0.0, 2.5: 1.0, 5: 2.0, 10: 4.0, 10.1: 4.0, 99: 4.0, float("inf"): 4.0}
        assert {epoch: rising.at(epoch) for epoch in expected} == expected

    def test_cyclic(self) -> None:
        again = weight(4.0, "cyclic", 10)
        expected = {0: 0.0, 2.5: 2.0, 5: 4.0, 9.5: 4.0, 10: 0.0, 11.25: 1.0, 17: 4.0, 20: 0.0}
        assert {epoch: again.at(epoch) for epoch in expected} == expected
        assert again.at(float("inf")) == 4.0

    @pytest.mark.parametrize("schedule", ["constant", "linear", "cyclic"])
    def test_no_warmup(self, schedule: str) -> None:
        assert weight(2.0, schedule, 0).at(0) == 2.0

    def test_in_a_model(self) -> None:
        whole = model(penalties={"l1": L1Penalty()}, weights={"l1": weight(2.0, "linear", 4)})
        x = images(3, 1, 4, 4)
        for epoch, factor in ((0, 0.0), (1, 0.5), (float("inf"), 2.0)):
            terms = whole.terms(x, gen(), epoch=epoch, noisy=True)
            assert terms.weights == {"reconstruction": 1.0, "l1": factor}
            expected = terms.values["reconstruction"] + factor * terms.values["l1"]
            torch.testing.assert_close(terms.loss, expected)

    @pytest.mark.parametrize(
        "arguments", [(-1.0,), (float("nan"),), ("1",), (1.0, "cosine"), (1.0, "linear", -1)]
    )
    def test_wrong_arguments(self, arguments: tuple[Any, ...]) -> None:
        with pytest.raises(ValidationError):
            weight(*arguments)


SENTENCES: dict[str, dict[str, Any]] = {
    "kl_sparsity": {"latent": plain(3, activation="sigmoid")},
    "orthogonal": {"network": linear(), "latent": plain(3)},
}
KEYS: dict[str, dict[str, Any]] = {
    "capacity": {"epochs": 0},
    "factor": {"units": 8, "layers": 2},
    "free_bits": {"nats": 1e-3},
}
NAMES = set(builtin_options("penalty")) - {"none"}
OPTIONS = [*((name, KEYS.get(name, {})) for name in sorted(NAMES)), *(
    ("dip", {"kind": "ii"}), ("gradient", {"method": "exact"}),
    ("contractive", {"method": "exact"}), ("contractive", {"method": "estimate"}),
)]  # fmt: skip


@pytest.mark.parametrize("network", [mlp(5), conv(3)], ids=["dense", "map"])
@pytest.mark.parametrize(("option", "changes"), OPTIONS, ids=str)
def test_no_part_of_a_penalty_is_held_fixed(
    option: str, changes: dict[str, Any], network: Network
) -> None:
    """But for critics, which have a loss of their own."""
    words = {"network": network, "latent": gaussian(3), **SENTENCES.get(option, {})}
    whole = model(penalties={"it": create(f"penalty={option}", **changes)}, **words).double()
    penalty = whole.penalties["it"]
    penalty.attach(40, 1)
    x = images(5, 1, 4, 4, dtype=torch.float64)
    critics = {p for rival in whole.adversaries.values() for p in rival.critic.parameters()}
    check_gradient(
        lambda: penalty(whole.run(x, gen(1), noisy=True, sample=True)),
        [p for p in whole.parameters() if p not in critics],
    )


def test_what_each_penalty_is_to_the_prior() -> None:
    """By which a KL is not charged twice, a learned prior is taught, and codes can be drawn."""
    made = {option: create(f"penalty={option}", **KEYS.get(option, {})).penalty for option in NAMES}
    sets = {
        "is_kl": {"KL"},
        "holds_prior": {"KL", "Capacity", "FreeBits", "TotalCorrelation"},
        "matches_prior": {"AdversarialPenalty", "MMD", "SlicedWasserstein"},
    }
    for flag, options in sets.items():
        classes = {type(one).__name__ for one in made.values() if getattr(one, flag)}
        assert classes == options
