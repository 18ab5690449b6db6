"""Sparse codes: k on average, nested prefixes, learned thresholds, and what revives dead units."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.api.create import create
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.passes import Pass
from helpers.models import adam, conv, gen, images, linear, model

DIM = 12
X = images(20, 1, 4, 4, dtype=torch.float64)


def sparse(option: str, **changes: Any) -> Autoencoder:
    """A linear model in double precision with this latent of 12 units."""
    latent = create(f"latent={option}", dim=DIM, **changes)
    return model(latent=latent, network=linear()).double()


def passed(whole: Autoencoder, x: Tensor = X) -> Pass:
    return whole.run(x, gen(), noisy=True, sample=True)


def trained(whole: Autoencoder, steps: int, batch: int, lr: float = 1e-2) -> Autoencoder:
    """After some steps on uniform images."""
    optimizer = adam(lr)(whole.parameter_groups())
    for step in range(steps):
        x = images(batch, 1, 4, 4, seed=step, dtype=torch.float64)
        optimizer.zero_grad()
        whole.terms(x, gen(step), epoch=1.0, noisy=True).loss.backward()
        optimizer.step()
    return whole


@pytest.mark.parametrize(
    ("option", "changes", "batch"), [("matryoshka", {"groups": 1}, 16), ("batch_topk", {}, 1)]
)
def test_it_is_topk_bit_for_bit(option: str, changes: dict[str, Any], batch: int) -> None:
    """A single prefix; a batch of one image."""
    both = [trained(sparse(o, k=3, **c), 30, batch) for o, c in (("topk", {}), (option, changes))]
    for one, other in zip(*(whole.parameters() for whole in both), strict=True):
        assert torch.equal(one, other)


class TestBatchTopK:
    def test_a_batch_keeps_exactly_its_largest(self) -> None:
        code = passed(sparse("batch_topk", k=3)).code
        assert code.raw is not None
        stays = code.z != 0
        assert int(stays.sum()) == 3 * len(X) and len(stays.sum(1).unique()) > 1
        assert code.raw[stays].min() > code.raw[~stays].max()

    def test_the_threshold_keeps_k_on_average(self) -> None:
        whole = trained(sparse("batch_topk", k=3), 300, 64, lr=3e-3).eval()
        z = whole.encode(images(4000, 1, 4, 4, seed=999, dtype=torch.float64)).z
        assert 2.85 < float((z != 0).sum(1).double().mean()) < 3.15

    def test_a_code_does_not_depend_on_other_images(self) -> None:
        whole = trained(sparse("batch_topk", k=3), 5, 16).eval()
        torch.testing.assert_close(whole.encode(X[:1]).z, whole.encode(X).z[:1])
        assert torch.equal(whole.latent.nearest(whole.encode(X).z), whole.encode(X).z)

    @pytest.mark.parametrize(("training", "sample"), [(False, True), (True, False)])
    def test_the_threshold_moves_in_training_steps_alone(
        self, training: bool, sample: bool
    ) -> None:
        whole = sparse("batch_topk", k=3).train(training)
        whole.run(X, gen(), noisy=True, sample=sample)
        assert whole.state_dict()["latent.keep.steps"] == 0
        passed(whole.train())
        assert whole.state_dict()["latent.keep.threshold"] != 0


class TestMatryoshka:
    def test_each_prefix_reconstructs(self) -> None:
        whole = sparse("matryoshka", k=4, groups=3)
        p = passed(whole)
        expected = torch.zeros(len(X), dtype=torch.float64)
        for size in (6, 3):
            z = p.code.z.clone()
            z[:, size:] = 0
            expected += (whole.output(z) - X).square().flatten(1).sum(1)
        torch.testing.assert_close(whole.latent.costs(p)["prefixes"], expected)

    def test_too_many_groups(self) -> None:
        with pytest.raises(UserError, match=r"latent\.groups=5: 12 units"):
            create("latent=matryoshka", dim=12, k=3, groups=5)


class TestAuxK:
    def revived(self, dead: list[int]) -> tuple[Autoencoder, Pass]:
        whole = sparse("topk", k=3, restart_weight=0.0, aux_k=2, aux_weight=0.5)
        whole.latent.inactive[dead] = 1000  # type: ignore[index, operator]
        whole.eval()  # so that the pass does not count
        return whole, passed(whole)

    def test_dead_units_reconstruct_the_error(self) -> None:
        """Gao et al. 2024: ||e - W z||^2, e the error, z the two largest values of dead units."""
        dead = [1, 5, 7]
        whole, p = self.revived(dead)
        with torch.no_grad():
            a = whole.latent.project(p.h)  # type: ignore[operator]
            unused = (p.code.z[:, dead] == 0).all(1)
            values, places = a[:, dead].topk(2, dim=1)
            atoms = whole.decoder[1].weight.T[dead]  # type: ignore[index]
            added = (values[..., None] * atoms[places]).sum(1)
            expected = ((X - p.output).flatten(1) - added).square().sum(1)
        cost = whole.latent.costs(p)["aux_k"]
        assert unused.any()
        torch.testing.assert_close(cost[unused], 0.5 * expected[unused])
        (gradient,) = torch.autograd.grad(cost.sum(), whole.latent.project[1].weight)  # type: ignore[index]
        assert gradient.any(1).nonzero()[:, 0].tolist() == dead

    @pytest.mark.parametrize("dead", [[], [4]])
    def test_fewer_than_asked(self, dead: list[int]) -> None:
        whole, p = self.revived(dead)
        cost = whole.latent.costs(p)["aux_k"]
        assert bool(cost.isfinite().all()) and bool(cost.any()) == bool(dead)


def test_the_gradient_of_a_jump_relu_is_that_of_the_paper() -> None:
    """Rajamanoharan et al. 2024b, eq. 11 and 12, with a rectangle as the kernel."""
    width, sparsity, theta = 0.3, 0.7, 0.2
    whole = sparse("jump_relu", sparsity=sparsity, threshold=theta, bandwidth=width)
    a = whole.latent.project(X.flatten(1)).detach()  # type: ignore[operator]
    g = torch.randn(a.shape, generator=gen(), dtype=torch.float64)
    code = whole.latent(X.flatten(1), None, True)
    near = ((a - theta) / width).abs() < 0.5
    assert near.any() and torch.equal(code.z.detach(), a * (a > theta))
    torch.testing.assert_close(code.costs["l0"], sparsity * (a > theta).sum(1).double())
    log_threshold = whole.latent.log_threshold
    (by_code,) = torch.autograd.grad((g * code.z).sum(), log_threshold, retain_graph=True)
    torch.testing.assert_close(by_code, theta * -(theta / width) * (g * near).sum(0))
    bias = whole.latent.project[1].bias  # type: ignore[index]
    (by_bias,) = torch.autograd.grad((g * code.z).sum(), bias, retain_graph=True)
    torch.testing.assert_close(by_bias, (g * (a > theta)).sum(0))
    by_count, none = torch.autograd.grad(
        code.costs["l0"].sum(), [log_threshold, bias], allow_unused=True
    )
    torch.testing.assert_close(by_count, -sparsity * theta * near.sum(0).double() / width)
    assert none is None or not none.any()


class TestGated:
    def test_the_gate_decides_and_the_other_measures(self) -> None:
        whole = sparse("gated", sparsity=0.3)
        state = whole.latent.state_dict()
        for name in ("gate_bias", "log_scale", "bias"):
            state[name].copy_(torch.randn(DIM, generator=gen(1)) / 5)
        code, w = passed(whole).code, state["project.1.weight"]
        a = X.flatten(1) @ w.T
        size = (a * state["log_scale"].exp() + state["bias"]).clamp_min(0)
        gate = a + state["gate_bias"]
        torch.testing.assert_close(code.z, size * (gate > 0))
        torch.testing.assert_close(code.costs["gate_l1"], 0.3 * gate.clamp_min(0).sum(1))

    def test_the_gate_learns_from_a_constant_decoder(self) -> None:
        whole = sparse("gated", sparsity=0.3)
        p = passed(whole)
        cost = whole.latent.costs(p)["gate_reconstruction"]
        assert p.code.raw is not None
        expected = (whole.output(p.code.raw) - X).square().flatten(1).sum(1)
        torch.testing.assert_close(cost, expected)
        cost.sum().backward()
        assert all(parameter.grad is None for parameter in whole.decoder.parameters())
        assert whole.latent.gate_bias.grad.any()  # type: ignore[operator, union-attr]


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("topk", {"aux_k": 4}),
        ("batch_topk", {"aux_k": 4}),
        ("matryoshka", {"aux_k": 4}),
        ("jump_relu", {}),
        ("gated", {}),
    ],
)
@pytest.mark.parametrize("conditional", [False, True])
def test_costs_pass_through_any_decoder(
    option: str, changes: dict[str, Any], conditional: bool
) -> None:
    """Of the positions of pooled maxima, or of classes; once all units are dead."""
    latent = create(f"latent={option}", **changes)
    network = conv(2) if conditional else create("network=conv_unpool", channels=[2])
    whole = model(latent=latent, network=network, classes=3 if conditional else None)
    if changes:
        whole.latent.inactive.fill_(1000)  # type: ignore[operator]
    y = torch.arange(20) % 3
    terms = whole.terms(X.float(), gen(), epoch=1.0, noisy=True, y=y)
    assert {*latent.cost_names} <= {*terms.values} and bool(terms.loss.isfinite())
