"""Codes of codebook entries: vector and finite scalar quantisation, and perplexity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from aecore.errors import SkippedError, UserError
from aecore.evaluation.metrics.perplexity import Perplexity
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.base import Latent
from aecore.model.latents.fsq import FSQ
from aecore.model.latents.quantised import straight_through
from aecore.model.latents.vq import VQ
from helpers.bounds import check_bounds
from helpers.commands import FORKED
from helpers.models import conv, gen, images, mlp, model, plain
from helpers.ranks import codebook, points, share
from helpers.trials import trial

LEVELS = [8, 5, 4]


def vq(**changes: Any) -> VQ:
    values: dict[str, Any] = {
        "codebook_size": 6,
        "dim": 3,
        "tokens": 2,
        "commitment": 0.25,
        "update": "ema",
        "decay": 0.9,
        "restart_below": 0.1,
    }
    return VQ(**(values | changes))


def fsq(**changes: Any) -> FSQ:
    return FSQ(**({"levels": LEVELS, "tokens": 2} | changes))


def identity(latent: Latent, size: int, dtype: torch.dtype = torch.float64) -> Latent:
    """Attached to vectors, with a projection that changes nothing."""
    latent.attach((size,))
    latent.to(dtype)
    layer = latent.project[1]
    with torch.no_grad():
        layer.weight.copy_(torch.eye(size))
        layer.bias.zero_()
    return latent


class OneWay(VQ):
    """Words without the way back, as somebody might write it."""

    decode_indices = Latent.decode_indices


def test_words_without_the_way_back_are_refused_when_a_model_is_built() -> None:
    arguments = {
        "codebook_size": 6,
        "dim": 3,
        "tokens": 2,
        "commitment": 0.25,
        "decay": 0.9,
        "restart_below": 0.1,
    }
    with pytest.raises(
        UserError, match=r"^latent=OneWay: has a `codebook_size`.*\n.*decode_indices\("
    ):
        model(latent=OneWay(update="ema", **arguments))


def test_straight_through() -> None:
    x = points(5, 3).requires_grad_()
    out = straight_through(x.detach().round(), x)
    assert torch.equal(out, x.detach().round())
    jacobian = torch.autograd.functional.jacobian(lambda t: straight_through(t.round(), t), x)
    assert torch.equal(jacobian.reshape(15, 15), torch.eye(15, dtype=torch.float64))


class TestTokens:
    @pytest.mark.parametrize("latent", [vq(tokens=None, dim=5), fsq(tokens=None, levels=[3, 2, 2])])
    def test_one_at_each_place_of_a_map(self, latent: Latent) -> None:
        whole = model(image_shape=(1, 9, 6), network=conv(4), latent=latent).eval()
        code = whole.encode(images(3, 1, 9, 6))
        assert whole.code_shape == (whole.latent.width, 5, 3)
        assert code.indices is not None and code.indices.shape == (3, 5, 3)
        assert torch.equal(whole.latent.nearest(code.z), code.z)
        at = code.z.movedim(1, -1)[code.indices == code.indices[1, 2, 1]]
        assert torch.equal(at, at[:1].expand_as(at)), "the same index is the same entry"
        assert whole.reconstruct(images(3, 1, 9, 6)).shape == (3, 1, 9, 6)

    @pytest.mark.parametrize("latent", [vq(), fsq()])
    @pytest.mark.parametrize("network", [mlp(6), conv(4)])
    def test_cut_from_a_vector(self, latent: Latent, network: Any) -> None:
        whole = model(network=network, latent=latent).eval()
        code = whole.encode(images(7, 1, 4, 4))
        assert whole.code_shape == (6,)
        assert code.indices is not None and code.indices.shape == (7, 2)
        assert code.indices.min() >= 0 and code.indices.max() < latent.codebook_size
        assert code.z is code.mean and code.posterior is None

    @pytest.mark.parametrize("latent", [vq(tokens=None), fsq(tokens=None)])
    def test_no_places_in_a_vector(self, latent: Latent) -> None:
        with pytest.raises(UserError, match=r"latent\.tokens=null.*\n.*network=conv.*tokens=8"):
            model(latent=latent)

    def test_there_is_no_prior_yet(self) -> None:
        with pytest.raises(UserError, match="nothing to sample from: this latent has no prior"):
            model(latent=vq()).sample(2, gen())


class TestVQ:
    def test_chooses_the_nearest_vector(self) -> None:
        vectors, x = points(7, 3), points(200, 3, seed=1)
        expected = torch.cdist(x, vectors).argmin(1)
        assert torch.equal(codebook(vectors)(x), expected)
        with torch.autocast("cpu"):  # where bfloat16 would choose others
            assert torch.equal(codebook(10 + vectors.float())(10 + x.float()), expected)

    @pytest.mark.parametrize("update", ["ema", "gradient"])
    def test_costs_at_the_centroids_are_the_inertia(self, update: Any) -> None:
        x = points(90, 6)
        found = KMeans(5, n_init=1, random_state=0, tol=0, max_iter=999).fit(x.view(180, 3).numpy())
        latent = identity(vq(codebook_size=5, commitment=0.5, update=update), 6).eval()
        with torch.no_grad():
            latent.codebook.vectors.copy_(torch.from_numpy(found.cluster_centers_))
        costs = latent(x, None, True).costs
        inertia = found.inertia_ / 90
        assert costs["commitment"].mean().item() == pytest.approx(0.5 * inertia, rel=1e-9)
        assert set(costs) == {"commitment"} | ({"codebook"} if update == "gradient" else set())
        if update == "gradient":
            assert costs["codebook"].mean().item() == pytest.approx(inertia, rel=1e-9)

    def test_each_side_pays_for_itself(self) -> None:
        latent = identity(vq(update="gradient", commitment=1.0), 6)
        h = points(4, 6).requires_grad_()
        costs = latent(h, gen(), False).costs
        vectors = latent.codebook.vectors
        for name, moved, still in (("commitment", h, vectors), ("codebook", vectors, h)):
            some = torch.autograd.grad(
                costs[name].sum(), [moved, still], retain_graph=True, allow_unused=True
            )
            assert some[0].abs().max() > 0 and some[1] is None

    def test_the_gradient_passes_the_choice(self) -> None:
        latent = identity(vq(), 6).eval()
        h = points(4, 6).requires_grad_()
        given = points(4, 6, seed=1)
        (found,) = torch.autograd.grad(latent(h, None, True).z, h, given)
        torch.testing.assert_close(found, given, rtol=0, atol=1e-15)

    def test_without_memory_it_takes_a_step_of_k_means(self) -> None:
        vectors, x = points(5, 3), points(60, 3, seed=1)
        vectors[4] = 100.0  # which nothing chooses
        made = codebook(vectors)
        chosen = made(x)
        made.learn(x, chosen)
        for k in range(4):
            torch.testing.assert_close(made.vectors[k], x[chosen == k].mean(0))
        assert torch.equal(made.vectors[4], vectors[4])

    def test_with_memory_it_is_the_running_mean_of_all(self) -> None:
        decay, made = 0.8, codebook(points(2, 3), decay=0.8)
        number, total = torch.ones(2, dtype=torch.float64), made.vectors.clone()
        for seed in range(5):
            x = points(30, 3, seed=seed)
            chosen = made(x)
            made.learn(x, chosen)
            one_hot = torch.eye(2, dtype=torch.float64)[chosen]
            number = decay * number + (1 - decay) * one_hot.sum(0) * 2 / 30
            total = decay * total + (1 - decay) * one_hot.T @ x * 2 / 30
        torch.testing.assert_close(made.vectors, total / number[:, None])
        torch.testing.assert_close(made.usage, number)

    def test_an_optimizer_moves_a_learned_codebook(self) -> None:
        vectors, x = points(5, 3), points(60, 3, seed=1)
        made = codebook(vectors, learned=True)
        made.learn(x, made(x))
        assert torch.equal(made.vectors.detach(), vectors)
        assert made.usage.sum().item() == pytest.approx(5)

    def test_vectors_that_nothing_chooses_start_again(self) -> None:
        vectors, x = points(5, 3), points(60, 3, seed=1)
        made = codebook(vectors, restart_below=0.1)
        made.usage.copy_(torch.tensor([1.0, 0.05, 3.0, 0.2, 0.0]))
        made.restart_dead(x, gen(3))
        alive = torch.tensor([True, False, True, True, False])
        assert torch.equal(made.vectors[alive], vectors[alive])
        for k in (1, 4):
            assert (made.vectors[k] == x).all(1).any()
        assert not torch.equal(made.vectors[1], made.vectors[4])
        assert made.usage.tolist() == pytest.approx([1.0, 1.0, 3.0, 0.2, 1.0])
        again = codebook(vectors, restart_below=0.1)
        again.usage.copy_(torch.tensor([1.0, 0.05, 3.0, 0.2, 0.0]))
        again.restart_dead(x, gen(3))
        assert torch.equal(again.vectors, made.vectors)

    @pytest.mark.parametrize("restart_below", [0.0, 0.5])
    def test_the_first_batch_initialises_the_codebook(self, restart_below: float) -> None:
        latent = identity(vq(decay=0.0, restart_below=restart_below, update="gradient"), 6).train()
        h = points(20, 6)
        latent(h, gen(), True)
        rows = h.view(40, 3)
        assert all((v == rows).all(1).any() for v in latent.codebook.vectors)
        assert latent.codebook.vectors.unique(dim=0).shape == (6, 3)

    @pytest.mark.parametrize(("training", "sample"), [(False, True), (True, False)])
    def test_state_changes_in_training_steps_alone(self, training: bool, sample: bool) -> None:
        latent = identity(vq(), 6).train(training)
        before = {name: value.clone() for name, value in latent.state_dict().items()}
        latent(points(20, 6), gen(), sample)
        assert all(torch.equal(value, before[n]) for n, value in latent.state_dict().items())

    def test_all_processes_keep_the_same_codebook(self, tmp_path: Path) -> None:
        start = f"file://{tmp_path / 'meeting'}"
        method = FORKED.get_start_method()
        torch.multiprocessing.start_processes(
            share, (start, str(tmp_path)), nprocs=2, start_method=method
        )
        first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first)
        alone = codebook(points(4, 3), decay=0.5)
        both = torch.cat([points(30, 3, seed=10), points(30, 3, seed=11)])
        alone.learn(both, alone(both))
        torch.testing.assert_close(first["vectors"], alone.vectors)
        torch.testing.assert_close(first["usage"], alone.usage)


class TestFSQ:
    @settings(max_examples=40, deadline=None)
    @given(levels=st.lists(st.integers(2, 9), min_size=1, max_size=4), seed=st.integers(0, 99))
    def test_levels(self, levels: list[int], seed: int) -> None:
        width = len(levels)
        latent = identity(fsq(levels=levels, tokens=1), width)
        code = latent(3 * points(2000, width, seed), None, True)
        for d, count in enumerate(levels):
            found = code.z[:, d].unique()
            expected = torch.linspace(-1, 1, count, dtype=torch.float64)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
        assert latent.codebook_size == math.prod(levels)
        assert torch.equal(latent.nearest(code.z), code.z)
        decoded = latent.decode_indices(code.indices).double()
        torch.testing.assert_close(decoded, code.z, rtol=0, atol=1e-6)
        entries, number = torch.cat([code.z, code.indices], 1).unique(dim=0), code.indices.unique()
        assert len(entries) == len(number) == len(code.z.unique(dim=0))
        assert number.min() >= 0 and number.max() < latent.codebook_size

    def test_all_entries_in_order(self) -> None:
        latent = identity(fsq(levels=[2, 3], tokens=1), 2, torch.float32)
        h = torch.cartesian_prod(torch.tensor([-9.0, 0.0, 9.0]), torch.tensor([-9.0, 9.0])).flip(1)
        code = latent(h, None, False)
        assert code.indices is not None and code.indices.flatten().tolist() == [0, 1, 2, 3, 4, 5]

    def test_gradient_is_that_of_tanh(self) -> None:
        latent = identity(fsq(tokens=1), 3)
        h, given = points(9, 3).requires_grad_(), points(9, 3, seed=1)
        (found,) = torch.autograd.grad(latent(h, None, True).z, h, given)
        torch.testing.assert_close(found, given * (1 - h.detach().tanh().square()))

    def test_far_points_come_to_the_border(self) -> None:
        latent = identity(fsq(tokens=1), 3, torch.float32)
        nearest = latent.nearest(torch.tensor([[-7.0, 0.1, 5.0]]))
        assert nearest.tolist() == [[-1.0, 0.0, 1.0]]


class TestPerplexity:
    @staticmethod
    def of(whole: Autoencoder) -> dict[str, float]:
        with torch.no_grad():
            return Perplexity()(trial(whole))

    def test_against_counting(self) -> None:
        whole = model(latent=vq(codebook_size=6, tokens=2))
        found = self.of(whole)
        indices = whole.encode(trial(whole).images.pixels()).indices
        assert indices is not None
        share = torch.bincount(indices.flatten(), minlength=6) / indices.numel()
        used = share[share > 0]
        assert found["perplexity"] == pytest.approx(float(torch.exp(-(used * used.log()).sum())))
        assert found["codes_used"] == len(used) / 6
        assert 1 <= found["perplexity"] <= len(used)
        assert found["code_bits"] == pytest.approx(2 * math.log2(6))

    def test_one_entry_for_all(self) -> None:
        whole = model(latent=vq(codebook_size=6))
        with torch.no_grad():
            whole.latent.codebook.vectors[1:] += 1e3
        found = self.of(whole)
        assert found["perplexity"] == pytest.approx(1) and found["codes_used"] == 1 / 6

    def test_a_map_of_seven_by_seven(self) -> None:
        latent = vq(codebook_size=512, tokens=None)
        found = self.of(model(image_shape=(1, 14, 14), network=conv(2), latent=latent))
        assert found["code_bits"] == pytest.approx(441)

    def test_codes_of_numbers_have_none(self) -> None:
        with pytest.raises(SkippedError, match="the code is continuous"):
            self.of(model(latent=plain(3)))


@pytest.mark.parametrize(
    ("option", "key", "within", "beyond"),
    [
        ("vq", "codebook_size", [2], [1]),
        ("vq", "decay", [0.0, 0.999], [1.0, -0.1]),
        ("vq", "restart_below", [0.0, 0.999], [1.0, -0.1]),
        ("vq", "kmeans", [0], [-1]),
        ("residual_vq", "levels", [1], [0]),
        ("lfq", "bits", [1, 30], [0, 31]),
        ("lfq", "temperature", [0.01], [0.0]),
        ("fsq", "levels", [[2], [2, 3]], [[], [1], [2, 1]]),
        ("categorical", "categories", [2], [1]),
        ("hypersphere", "dim", [2], [1]),
        ("flow", "hidden", [[1]], [[], [0]]),
        ("gaussian", "dim", [1], [0]),
    ],
)
def test_bounds(option: str, key: str, within: list[Any], beyond: list[Any]) -> None:
    check_bounds(f"latent={option}", key, within, beyond)
