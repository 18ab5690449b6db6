"""Residual and lookup-free quantisation; k-means and cosine codebooks."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional as F

from aecore.api.create import create
from aecore.model.latents.base import Latent
from aecore.model.latents.lfq import LFQ, joint_probabilities
from aecore.model.latents.residual_vq import ResidualVQ
from aecore.model.latents.vq import VQ
from helpers.gradients import check_gradient
from helpers.models import adam, conv, gen, images, model
from helpers.ranks import codebook, points


def quantiser(option: str, **changes: Any) -> Latent:
    latent: Latent = create(f"latent={option}", codebook_size=6, dim=3, tokens=2, **changes)
    return latent


def lfq(bits: int = 8, **changes: Any) -> LFQ:
    latent: LFQ = create("latent=lfq", bits=bits, **({"tokens": 2} | changes))
    return latent


def attached(latent: Latent, width: int) -> Latent:
    """To vectors of two tokens, with a projection that changes nothing."""
    latent.attach((2 * width,))
    latent.double()
    with torch.no_grad():
        latent.project[1].weight.copy_(torch.eye(2 * width))
        latent.project[1].bias.zero_()
    return latent


class TestResidualVQ:
    @pytest.mark.parametrize("update", ["ema", "gradient"])
    @pytest.mark.parametrize("distance", ["euclidean", "cosine"])
    def test_one_level_is_vq(self, update: str, distance: str) -> None:
        """Bit for bit, over steps that start and restart entries."""
        values = {"update": update, "distance": distance, "restart_below": 0.5, "kmeans": 2}
        trained = []
        for option, more in (("vq", {}), ("residual_vq", {"levels": 1})):
            torch.manual_seed(0)
            whole = model(latent=quantiser(option, **values, **more))
            optimizer = adam()(whole.parameter_groups())
            for step in range(4):
                x = images(16, 1, 4, 4, seed=step)
                optimizer.zero_grad()
                loss = whole.terms(x, gen(step), epoch=0.0, noisy=True).loss
                loss.backward()
                optimizer.step()
            code = whole.encode(x)
            trained.append((whole.state_dict(), loss, code.z, code.indices))
        (one, *first), (other, *second) = trained
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    @pytest.mark.parametrize("update", ["ema", "gradient"])
    def test_each_level_quantises_what_is_left(self, update: str) -> None:
        latent = attached(quantiser("residual_vq", levels=3, update=update), 3).eval()
        h = points(20, 6)
        code, rest, squares = latent(h, None, True), h.view(40, 3), torch.zeros(40).double()
        for level, book in enumerate(latent.codebooks):
            nearest = torch.cdist(rest, book.vectors).argmin(1)
            assert torch.equal(code.indices[..., level].flatten(), nearest)
            rest = rest - book.vectors[nearest]
            squares = squares + rest.square().sum(1)
        torch.testing.assert_close(code.z, h - rest.view(20, 6))
        expected = squares.view(20, 2).sum(1)
        torch.testing.assert_close(code.costs["commitment"], 0.25 * expected)
        if update == "gradient":
            torch.testing.assert_close(code.costs["codebook"], expected)
            total = code.costs["codebook"].sum()
            grads = torch.autograd.grad(total, [b.vectors for b in latent.codebooks])
            for level, grad in enumerate(grads):  # that of its own level alone
                book, chosen = latent.codebooks[level], code.indices[..., level].flatten()
                before = h.view(40, 3) - sum(
                    (
                        latent.codebooks[n].vectors[code.indices[..., n].flatten()]
                        for n in range(level)
                    ),
                    torch.zeros(40, 3).double(),
                )
                pulls = 2 * (book.vectors[chosen] - before).detach()
                torch.testing.assert_close(
                    grad, torch.zeros(6, 3).double().index_add_(0, chosen, pulls)
                )

    def test_the_gradient_passes_the_choices(self) -> None:
        latent = attached(quantiser("residual_vq", levels=3), 3).eval()
        h, given = points(4, 6).requires_grad_(), points(4, 6, seed=1)
        (found,) = torch.autograd.grad(latent(h, None, True).z, h, given)
        torch.testing.assert_close(found, given, rtol=0, atol=1e-14)

    def test_indices_of_a_map(self) -> None:
        latent = ResidualVQ(
            levels=3, codebook_size=4, dim=5, tokens=None, commitment=0.25, update="ema",
            decay=0.9, restart_below=0.1,
        )  # fmt: skip
        whole = model(image_shape=(1, 9, 6), network=conv(4), latent=latent).eval()
        code = whole.encode(images(3, 1, 9, 6))
        assert code.indices is not None and code.indices.shape == (3, 5, 3, 3)
        torch.testing.assert_close(whole.latent.decode_indices(code.indices), code.z)
        torch.testing.assert_close(whole.latent.decode_indices(code.indices.flatten(1)), code.z)

    def test_levels_reduce_the_error(self) -> None:
        latent = attached(quantiser("residual_vq", levels=4, kmeans=10, decay=0.0), 3).train()
        h = points(200, 6)
        latent(h, gen(), True)
        left = [
            float(level.points.square().mean()) for level in latent._quantised(h.view(200, 2, 3))
        ]
        ratios = [after / before for before, after in itertools.pairwise(left)]
        assert all(ratio < 0.7 for ratio in ratios), ratios


class TestCodebook:
    @pytest.mark.parametrize("learned", [False, True])
    def test_k_means_on_the_first_batch(self, learned: bool) -> None:
        x = points(300, 3)
        steps, made = 4, codebook(points(5, 3), learned=learned)
        made.usage.zero_()
        made.restart_dead(x, gen(1))
        start = made.vectors.detach().clone()
        made.usage.zero_()
        made.kmeans = steps
        made.restart_dead(x, gen(1))
        found = KMeans(5, init=start.numpy(), n_init=1, max_iter=steps, tol=0).fit(x.numpy())
        torch.testing.assert_close(made.vectors.detach(), torch.from_numpy(found.cluster_centers_))
        settled = made.vectors.detach().clone()
        made.restart_dead(x, gen(2))  # later batches leave it alone
        assert torch.equal(made.vectors.detach(), settled)

    def test_cosine_chooses_by_direction(self) -> None:
        latent = attached(quantiser("vq", distance="cosine"), 3).eval()
        h = points(50, 6)
        code = latent(h, None, True)
        rows, vectors = h.view(100, 3), latent.codebook.vectors
        similar = F.cosine_similarity(rows[:, None], vectors[None], dim=2)
        assert torch.equal(code.indices.flatten(), similar.argmax(1))
        torch.testing.assert_close(code.z.view(100, 3).norm(dim=1), torch.ones(100).double())
        torch.testing.assert_close(latent(7 * h, None, True).z, code.z)
        torch.testing.assert_close(latent.nearest(7 * h), code.z)
        torch.testing.assert_close(latent.decode_indices(code.indices), code.z)
        distance = 2 - 2 * similar.amax(1).view(50, 2)
        torch.testing.assert_close(code.costs["commitment"], 0.25 * distance.sum(1))

    def test_cosine_codebook_learns_mean_directions(self) -> None:
        latent = attached(quantiser("vq", distance="cosine", decay=0.0), 3).train()
        h = points(200, 6)
        latent(h, gen(), True)
        chosen = latent(h, gen(), False).indices.flatten()
        before = latent.codebook.vectors.clone()
        latent(h, gen(), True)
        rows = F.normalize(h.view(400, 3), dim=1)
        for k in chosen.unique().tolist():
            torch.testing.assert_close(latent.codebook.vectors[k], rows[chosen == k].mean(0))
        assert not torch.equal(latent.codebook.vectors, before)


def enumerated(h: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The entropy of each token (M,) and that of their mean, over all entries of (M, bits)."""
    entries = torch.tensor([*itertools.product([-1.0, 1.0], repeat=h.shape[1])], dtype=h.dtype)
    q = (-torch.cdist(h, entries).square() / temperature).softmax(1)
    return torch.special.entr(q).sum(1), torch.special.entr(q.mean(0)).sum()


class TestLFQ:
    def test_it_is_the_sign_and_its_binary_index(self) -> None:
        latent = attached(lfq(5), 5)
        h = points(300, 10)
        h[0, :4] = torch.tensor([0.0, -0.0, 1e-300, -1e-300])
        code = latent(h, None, True)
        expected = torch.where(h > 0, 1.0, -1.0).double()
        assert torch.equal(code.z, expected)
        weights = 2 ** torch.arange(5)
        assert torch.equal(code.indices, ((h.view(300, 2, 5) > 0) * weights).sum(2))
        assert torch.equal(latent.decode_indices(code.indices).double(), code.z)
        assert torch.equal(latent.nearest(h), code.z) and latent.codebook_size == 32

    @pytest.mark.parametrize("temperature", [0.5, 3.0])
    def test_entropy_against_enumeration(self, temperature: float) -> None:
        latent = attached(lfq(8, temperature=temperature, entropy=0.3, diversity=0.7), 8)
        h = points(30, 16)
        found = latent(h, None, True).costs["entropy"]
        each, mean = enumerated(h.view(60, 8), temperature)
        unused = 8 * math.log(2) - mean
        expected = 0.3 * (each.view(30, 2).sum(1) + 0.7 * 2 * unused)
        torch.testing.assert_close(found, expected)

    def test_groups_of_bits_bound_the_entropy_of_all(self) -> None:
        latent = attached(lfq(10, entropy=1.0, diversity=1.0, temperature=1.0), 10)
        h = points(40, 20)
        h[:, 9] = h[:, 19] = h[:, 0]  # of the second group, as in the first
        each, mean = enumerated(h.view(80, 10), 1.0)
        groups = [enumerated(part, 1.0)[1] for part in torch.split(h.view(80, 10), 8, 1)]
        assert float(sum(groups)) > float(mean) + 0.01
        expected = each.view(40, 2).sum(1) + 2 * (10 * math.log(2) - sum(groups))
        torch.testing.assert_close(latent(h, None, True).costs["entropy"], expected)

    def test_gradients(self) -> None:
        latent = attached(lfq(3, entropy=1.0), 3)
        h = points(4, 6).requires_grad_()
        check_gradient(lambda: latent(h, None, True).costs["entropy"], [h])
        far = torch.full((2, 6), 1e4, dtype=torch.float64).requires_grad_()
        (grad,) = torch.autograd.grad(latent(far, None, True).costs["entropy"].sum(), far)
        assert bool(grad.isfinite().all())

    def test_joint_probabilities_sum_to_one(self) -> None:
        p = torch.rand(7, 6, generator=gen(), dtype=torch.float64)
        joint = joint_probabilities(p)
        torch.testing.assert_close(joint.sum(1), torch.ones(7).double())

        one = (torch.arange(64)[:, None] // 2 ** torch.arange(6)) % 2 == 1
        for bit in range(6):
            torch.testing.assert_close(joint[:, one[:, bit]].sum(1), p[:, bit])

    def test_without_entropy_it_has_no_such_cost(self) -> None:
        assert set(attached(lfq(4, entropy=0.0), 4)(points(3, 8), None, True).costs) == {
            "commitment"
        }

    def test_diversity_uses_more_entries(self) -> None:
        used = []
        for entropy in (0.0, 1.0):
            torch.manual_seed(0)
            latent = lfq(6, entropy=entropy, diversity=4.0)
            whole, x = model(latent=latent), images(64, 1, 4, 4)
            optimizer = torch.optim.Adam(whole.parameters(), lr=1e-2)
            for step in range(60):
                optimizer.zero_grad()
                whole.terms(x, gen(step), epoch=0.0, noisy=True).loss.backward()
                optimizer.step()
            indices = whole.encode(x).indices
            assert indices is not None
            used.append(len(indices.unique()))
        assert used[1] > used[0], used


def test_the_size_of_the_codebook_has_no_default() -> None:
    """Not even the None that other latents have as an attribute."""
    options = {"dim": 2, "tokens": 1, "commitment": 1.0, "update": "ema", "decay": 0.9}
    with pytest.raises(ValidationError, match="codebook_size"):
        VQ(**options, restart_below=0.0)  # type: ignore[arg-type,call-arg]
