"""The k-sparse code: what is kept, what has a gradient, what restarts dead units."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.errors import UserError
from aecore.model.latents.topk import TopK
from helpers.models import gen, images, model, plain


def topk(**changes: Any) -> TopK:
    values: dict[str, Any] = {"dim": 12, "k": 3, "alpha": 1.0, "restart_weight": 0.0, "patience": 2}
    return TopK(**(values | changes))


def attached(latent: TopK) -> TopK:
    torch.manual_seed(0)
    latent.attach((8,))
    return latent.double()


def features(n: int = 20, seed: int = 0) -> Tensor:
    return torch.randn(n, 8, generator=gen(seed), dtype=torch.float64)


def test_exactly_the_k_largest_stay() -> None:
    latent = attached(topk())
    h = features()
    z, a = latent(h, None, True).z, latent.project(h)
    stays = z != 0
    assert (stays.sum(1) == 3).all() and torch.equal(z[stays], a[stays])
    assert (
        a.masked_fill(~stays, torch.inf).amin(1) >= a.masked_fill(stays, -torch.inf).amax(1)
    ).all()


def test_ties_do_not_let_more_stay() -> None:
    latent = attached(topk())
    with torch.no_grad():
        latent.project[1].weight.zero_()
        latent.project[1].bias.fill_(1.0)
    assert ((latent(features(), None, True).z != 0).sum(1) == 3).all()


def test_only_what_stays_has_a_gradient() -> None:
    latent = attached(topk())
    a = torch.randn(5, 12, generator=gen(), dtype=torch.float64, requires_grad=True)
    z = latent.keep(a)
    (gradient,) = torch.autograd.grad(z.sum(), a)
    assert torch.equal(gradient, (z != 0).double())


def test_where_all_stay_it_is_a_plain_code() -> None:
    sparse, dense = model(latent=topk(k=12)), model(latent=plain(12))
    dense.load_state_dict(sparse.state_dict(), strict=False)
    x = images(5, 1, 4, 4)
    assert torch.equal(sparse.reconstruct(x), dense.reconstruct(x))


def test_the_support_of_an_orthonormal_dictionary_is_found() -> None:
    atoms = torch.linalg.qr(torch.randn(8, 8, generator=gen(), dtype=torch.float64))[0]
    latent = topk(dim=8)
    latent.attach((8,))
    latent.double()
    with torch.no_grad():
        latent.project[1].weight.copy_(atoms)
        latent.project[1].bias.zero_()
    places = torch.rand(30, 8, generator=gen(1)).argsort(1)[:, :3]
    true = torch.zeros(30, 8, dtype=torch.float64).scatter(1, places, 1.0) * 1.5
    torch.testing.assert_close(latent(true @ atoms, None, True).z, true, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("alpha", "kept"), [(0.4, 1), (2.0, 6), (99.0, 12)])
def test_evaluation_keeps_alpha_times_as_many(alpha: float, kept: int) -> None:
    latent = attached(topk(alpha=alpha))
    assert ((latent(features(), None, True).z != 0).sum(1) == 3).all()
    z = latent.eval()(features(), None, False).z
    assert ((z != 0).sum(1) == kept).all()
    assert torch.equal(latent.nearest(z), z)


@pytest.mark.parametrize("changes", [{"k": 13}, {"alpha": 0.1}])
def test_impossible_numbers(changes: Any) -> None:
    with pytest.raises(UserError, match=r"latent\.k=.*from 1 to 12"):
        topk(**changes)


class TestRestart:
    def never(self, **changes: Any) -> TopK:
        """A latent whose unit 5 never stays."""
        latent = attached(topk(restart_weight=0.5, **changes))
        with torch.no_grad():
            latent.project[1].bias[5] = -100.0
        return latent

    def test_units_are_dead_after_some_batches(self) -> None:
        latent = self.never()
        costs = [latent(features(200), None, True).costs["restart"] for _ in range(3)]
        assert [bool(cost.any()) for cost in costs] == [False, True, True]
        assert latent.inactive.tolist() == [3 if n == 5 else 0 for n in range(12)]

    def test_the_cost_is_how_far_they_are_below(self) -> None:
        latent = self.never(patience=1)
        h = features(200)
        cost = latent(h, None, True).costs["restart"]
        a = latent.project(h)
        torch.testing.assert_close(cost, 0.5 * (a.topk(3, dim=1)[0][:, -1] - a[:, 5]))
        (gradient,) = torch.autograd.grad(cost.sum(), latent.project[1].bias)
        assert gradient.tolist() == [-100.0 if n == 5 else 0.0 for n in range(12)]

    def test_they_come_back(self) -> None:
        latent = self.never(patience=1)
        with torch.no_grad():
            latent.project[1].bias[5] = -3.0
        optimizer = torch.optim.SGD(latent.parameters(), lr=0.5)
        for _ in range(60):
            optimizer.zero_grad()
            latent(features(200), None, True).costs["restart"].mean().backward()
            optimizer.step()
        assert latent.inactive.max() <= 1

    @pytest.mark.parametrize(("training", "sample"), [(False, True), (True, False)])
    def test_counts_in_training_steps_alone(self, training: bool, sample: bool) -> None:
        latent = self.never().train(training)
        latent(features(), None, sample)
        assert not latent.inactive.any()

    def test_can_be_left_out(self) -> None:
        assert not attached(topk())(features(), None, True).costs

    def test_a_code_of_zeros(self) -> None:
        """Of a black image, whose features are zero."""
        latent = self.never(patience=1)
        with torch.no_grad():
            latent.project[1].bias.zero_()
        h = torch.cat([features(4), torch.zeros(1, 8, dtype=torch.float64)])
        cost = latent(h, None, True).costs["restart"]
        assert bool(cost.isfinite().all()) and float(cost[-1].detach()) == 0
