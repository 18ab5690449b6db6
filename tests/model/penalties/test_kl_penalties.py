"""Penalties that stand in the place of the KL: its three parts, its capacity, its free bits."""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from aecore.config.arguments import parse
from aecore.config.build import build
from aecore.config.compose import compose
from aecore.data.sources.digits import Digits
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import Code
from aecore.model.latents.base import Latent
from aecore.model.latents.gaussian import DiagonalGaussian
from aecore.model.passes import Pass
from aecore.model.penalties.base import Penalty
from aecore.model.penalties.capacity import Capacity
from aecore.model.penalties.free_bits import FreeBits
from aecore.model.penalties.kl import KL
from aecore.model.penalties.total_correlation import TotalCorrelation, densities, split_kl
from aecore.model.priors.standard import Standard
from aecore.model.reconstruction.base import Reconstruction
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood as GaussianPixels
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment
from helpers.models import gaussian, gen, images, mlp, model, weight
from helpers.passes import passed, same

N, DIM = 6, 3


def posteriors(n: int = N, dim: int = DIM, seed: int = 0) -> DiagonalGaussian:
    """Posteriors of n images that overlap."""
    mean, log_var = torch.randn(2, n, dim, generator=gen(seed), dtype=torch.float64)
    return DiagonalGaussian(mean, 0.5 * log_var - 0.5)


def at(q: DiagonalGaussian, index: Tensor, z: Tensor) -> Code:
    """Codes z of those images."""
    return Code(z, q.mean[index], DiagonalGaussian(q.mean[index], q.log_var[index]))


def exact(q: DiagonalGaussian, z: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z) (M,) and log q(z_j) (M, dim) of the mixture of all images, by torch's own."""
    std = (q.log_var / 2).exp()
    even = torch.ones(len(std), dtype=std.dtype)
    joint = MixtureSameFamily(Categorical(even), Independent(Normal(q.mean, std), 1))
    each = even.expand(q.mean.shape[1], -1)
    marginal = MixtureSameFamily(Categorical(each), Normal(q.mean.T, std.T))
    return joint.log_prob(z), marginal.log_prob(z)


def total_correlation(alpha: float, beta: float, gamma: float) -> TotalCorrelation:
    return TotalCorrelation(alpha=alpha, beta=beta, gamma=gamma)


def latent_pass(q: DiagonalGaussian, whole: Autoencoder, n: int) -> Pass:
    code = at(q, torch.arange(n), q.sample(gen(3)))
    nothing = torch.zeros(n, 1, 4, 4, dtype=torch.float64)
    return Pass(nothing, nothing, nothing, code, nothing, whole)


class TestDensities:
    def test_the_full_batch_is_exact(self) -> None:
        q = posteriors()
        z = q.sample(gen(1))
        own, joint, marginal = densities(at(q, torch.arange(N), z), N)
        expected = exact(q, z)
        same(own, Independent(Normal(q.mean, (q.log_var / 2).exp()), 1).log_prob(z))
        same(joint, expected[0])
        same(marginal, expected[1])

    @pytest.mark.parametrize("size", [2, 3, 5])
    def test_batches_are_unbiased(self, size: int) -> None:
        """The mean over all batches that hold the code's own image is the mixture, exactly."""
        q = posteriors()
        z = q.sample(gen(1))[:1]
        found: list[tuple[Tensor, Tensor]] = []
        for others in combinations(range(1, N), size - 1):
            index = torch.tensor([*others, 0])  # its own image last: no column is like another
            _, joint, marginal = densities(at(q, index, z.expand(size, -1)), N)
            found.append((joint[-1].exp(), marginal[-1].exp()))
        joint, marginal = exact(q, z)
        same(torch.stack([j for j, _ in found]).mean(), joint[0].exp())
        same(torch.stack([m for _, m in found]).mean(0), marginal[0].exp())

    def test_one_round_over_many_images(self) -> None:
        """50 images: seven batches of 8 see each other image once, so their mean has no noise."""
        q = posteriors(50, 2)
        z = q.sample(gen(1))[:1]
        draws = []
        for others in (1 + torch.randperm(49, generator=gen())).view(7, 7):
            index = torch.cat([others, torch.tensor([0])])
            draws.append(densities(at(q, index, z.expand(8, -1)), 50)[1][-1].exp())
        same(torch.stack(draws).mean(), exact(q, z)[0][0].exp())

    def test_pieces_are_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        code = at(posteriors(), torch.arange(N), posteriors().sample(gen(1)))
        whole = densities(code, 40)
        monkeypatch.setattr("aecore.model.penalties.total_correlation._VALUES", 2 * N * DIM)
        for a, b in zip(densities(code, 40), whole, strict=True):
            same(a, b)

    @pytest.mark.parametrize(("n", "images"), [(1, 1), (1, 100), (4, 3), (6, 1)])
    def test_a_batch_of_one_and_one_too_large(self, n: int, images: int) -> None:
        q = posteriors(n)
        z = q.sample(gen(1))
        _, joint, marginal = densities(at(q, torch.arange(n), z), images)
        expected = exact(q, z)
        same(joint, expected[0])
        same(marginal, expected[1])


class TestTotalCorrelation:
    def test_the_parts_sum_to_the_kl(self) -> None:
        q = posteriors()
        repeats = 40_000
        index = torch.arange(N).repeat(repeats)
        z = at(q, index, q.mean[index]).posterior.sample(gen(2))  # type: ignore[union-attr]
        joint, marginal = exact(q, z)
        own = DiagonalGaussian(q.mean[index], q.log_var[index]).log_prob(z).sum(1)
        prior = Standard().log_prob(z).sum(1)
        expected = torch.stack([own - joint, joint - marginal.sum(1), marginal.sum(1) - prior])
        error = 5 * float((own - prior).std()) / len(z) ** 0.5
        kl = float(q.kl_standard().sum(1).mean())
        assert float(expected.sum(0).mean()) == pytest.approx(kl, abs=error)
        # the same draws through the estimate, full batches of N at a time
        some = torch.split(z[:600], N)
        batches = [split_kl(at(q, torch.arange(N), part), Standard(), N) for part in some]
        for row, part in zip(expected, zip(*batches, strict=True), strict=True):
            same(torch.cat(part), row[:600])
        information, correlation, dimensions = expected.mean(1).tolist()
        assert 0 < information < float(torch.tensor(float(N)).log())
        assert correlation > 0.05 and dimensions > 0.05

    def test_weights(self) -> None:
        q, whole = posteriors(), model(latent=gaussian(DIM)).double()
        p = latent_pass(q, whole, N)
        parts = split_kl(p.code, Standard(), 100)
        for factors in ((1.0, 1.0, 1.0), (1.0, 6.0, 1.0), (0.0, 2.5, 0.0), (0.3, 0.0, 7.0)):
            penalty = total_correlation(*factors)
            penalty.attach(100, 1)
            same(penalty(p), sum(f * part for f, part in zip(factors, parts, strict=True)))

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_each_part_has_its_gradient(self, part: int) -> None:
        """That of the exact densities by torch's own, of the same draws."""
        q, noise = posteriors(), torch.randn(N, DIM, generator=gen(4), dtype=torch.float64)
        found = []
        for ours in (True, False):
            mean, log_var = (t.clone().requires_grad_() for t in (q.mean, q.log_var))
            moving = DiagonalGaussian(mean, log_var)
            z = mean + (log_var / 2).exp() * noise
            if ours:
                penalty = total_correlation(*(float(i == part) for i in range(3)))
                penalty.attach(N, 1)
                nothing, whole = torch.zeros(N, 1, 4, 4), model(latent=gaussian(DIM))
                code = Code(z, mean, moving)
                cost = penalty(Pass(nothing, nothing, nothing, code, nothing, whole))
            else:
                joint, marginal = exact(moving, z)
                own = Normal(mean, (log_var / 2).exp()).log_prob(z).sum(1)
                prior = Normal(0.0, 1.0).log_prob(z).sum(1)
                cost = (own - joint, joint - marginal.sum(1), marginal.sum(1) - prior)[part]
            found.append(torch.autograd.grad(cost.mean(), (mean, log_var)))
        assert min(float(gradient.abs().max()) for gradient in found[1]) > 0.01
        for a, b in zip(*found, strict=True):
            same(a, b)

    def test_one_part_alone_has_no_correlation(self) -> None:
        q = posteriors(5, 1)
        _, correlation, _ = split_kl(at(q, torch.arange(5), q.sample(gen(1))), Standard(), 100)
        same(correlation, torch.zeros(5, dtype=torch.float64))

    def test_a_run_tells_how_many_images_there_are(self) -> None:
        argv = ["model=beta_tcvae", "dataset.train_size=321", "dataset.batch_size=64"]
        whole = prepare(build_experiment(compose(parse(argv)).config))
        assert whole.penalties["total_correlation"].images == 321

    def test_draws_that_only_stand_for_codes(self) -> None:
        latent = compose(parse(["model=gumbel_vae"])).config["latent"]
        with pytest.raises(UserError, match=r"samples relaxations(.|\n)*penalty=kl"):
            model(
                latent=build(latent, "latent", Latent),
                penalties={"tc": total_correlation(1.0, 6.0, 1.0)},
            )

    def test_beside_kl(self) -> None:
        both: dict[str, Any] = {"kl": KL(), "tc": total_correlation(1.0, 6.0, 1.0)}
        with pytest.raises(UserError, match=r"count twice(.|\n)*alpha=0"):
            model(latent=gaussian(3), penalties=both)
        both["tc"] = total_correlation(0.0, 5.0, 0.0)
        assert len(model(latent=gaussian(3), penalties=both).penalties) == 2


class TestCapacity:
    @pytest.mark.parametrize("over", [-2.0, -0.1, 0.0, 3.0])
    def test_is_the_distance_of_the_mean_kl(self, over: float) -> None:
        p = passed(model(latent=gaussian(3)).double())
        kl = float(KL()(p).mean().detach())
        wanted = max(kl + over, 0)
        found = Capacity(nats=wanted, epochs=0)(p)
        same(found, torch.full((4,), abs(kl - wanted), dtype=torch.float64))

    def test_grows_with_the_epochs(self) -> None:
        penalty = Capacity(nats=10.0, epochs=4)
        assert penalty.target() == 10
        found = {}
        for epoch in (0, 1, 3.5, 4, 9, float("inf")):
            penalty.set_epoch(epoch)
            found[epoch] = penalty.target()
        assert found == {0: 0, 1: 2.5, 3.5: 8.75, 4: 10, 9: 10, float("inf"): 10}

    def test_in_a_model(self) -> None:
        penalties = {"capacity": Capacity(nats=8.0, epochs=4)}
        whole = model(latent=gaussian(3), penalties=penalties, weights={"capacity": weight(5.0)})
        x = images(6, 1, 4, 4)
        kl = KL()(whole.run(x, gen(), noisy=False, sample=True)).mean()
        for epoch, capacity in ((0, 0), (1, 2), (float("inf"), 8)):
            terms = whole.terms(x, gen(), epoch=epoch, noisy=False)
            torch.testing.assert_close(terms.values["capacity"], (kl - capacity).abs())
            assert terms.weights["capacity"] == 5

    @pytest.mark.parametrize(
        ("reconstruction", "nats", "alone"),
        [(MSE(), 5.0, "less"), (GaussianPixels(scale=0.1), 2.0, "more")],
    )
    def test_the_kl_comes_to_it(
        self, reconstruction: Reconstruction, nats: float, alone: str
    ) -> None:
        """Burgess et al. 2018: a large gamma makes the KL what C is, whatever `kl` makes it."""

        def trained(name: str, penalty: Penalty, gamma: float) -> float:
            whole = model(
                image_shape=(1, 8, 8),
                network=mlp(32),
                latent=gaussian(4),
                reconstruction=reconstruction,
                penalties={name: penalty},
                weights={name: weight(gamma)},
            )
            optimizer = torch.optim.Adam(whole.parameters(), lr=5e-3)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
            for step in range(150):
                some = x[64 * (step % 8) :][:64]
                optimizer.zero_grad()
                whole.terms(some, gen(step), epoch=step / 150, noisy=True).loss.backward()
                optimizer.step()
                schedule.step()
            return float(KL()(whole.run(x, None, noisy=False, sample=False)).mean().detach())

        x = Digits().load("train", Path()).pixels(torch.arange(512))
        held = trained("capacity", Capacity(nats=nats, epochs=0.5), 100.0)
        assert held == pytest.approx(nats, rel=0.03)
        free = trained("kl", KL(), 1.0)
        assert free < 0.2 * nats if alone == "less" else free > 2 * nats

    def test_by_default_it_grows_as_long_as_the_training(self) -> None:
        words = ["model=annealed_vae", "trainer.max_epochs=17", "dataset.train_size=64"]
        config = compose(parse(words)).config
        before = deepcopy(config)
        experiment = build_experiment(config)
        (penalty,) = prepare(experiment).penalties.values()
        assert isinstance(penalty, Capacity) and penalty.epochs == 17
        assert experiment.config.penalty["capacity"]["epochs"] == 17
        assert config == before, "which other jobs may share"
        penalty.set_epoch(8.5)
        assert penalty.target() == pytest.approx(penalty.nats / 2)


class TestFreeBits:
    def test_without_any_it_is_the_kl(self) -> None:
        p = passed(model(latent=gaussian(3)).double())
        same(FreeBits(nats=0)(p), KL()(p).mean().expand(4))

    def test_a_dimension_below_costs_its_free_nats(self) -> None:
        q, whole = posteriors(), model(latent=gaussian(DIM)).double()
        p = latent_pass(q, whole, N)
        each = q.kl_standard().mean(0).sort().values
        free = float(each[:2].mean())  # between the smallest and the next
        same(FreeBits(nats=free)(p), (free + each[1:].sum()).expand(N))

    def test_below_there_is_no_gradient(self) -> None:
        q, whole = posteriors(), model(latent=gaussian(DIM)).double()
        mean, log_var = (t.clone().requires_grad_() for t in (q.mean, q.log_var))
        free = float(q.kl_standard().mean(0).sort().values[:2].mean())
        costly = q.kl_standard().mean(0) > free
        p = latent_pass(DiagonalGaussian(mean, log_var), whole, N)
        FreeBits(nats=free)(p).mean().backward()
        for parameter in (mean, log_var):
            assert parameter.grad is not None
            assert torch.equal((parameter.grad != 0).all(0), costly)
            assert torch.equal((parameter.grad != 0).any(0), costly)


PENALTIES = {
    "total_correlation": total_correlation(1.0, 6.0, 1.0),
    "capacity": Capacity(nats=5.0, epochs=1),
    "free_bits": FreeBits(nats=0.5),
}


@pytest.mark.parametrize("name", PENALTIES)
class TestRefusals:
    def test_without_a_posterior(self, name: str) -> None:
        with pytest.raises(UserError, match=rf"penalty={name}: .*\n.*latent=gaussian"):
            model(network=mlp(5), penalties={name: PENALTIES[name]})

    @pytest.mark.parametrize("other", ["kl", "more_bits"])
    def test_beside_another_kl(self, name: str, other: str) -> None:
        one = KL() if other == "kl" else FreeBits(nats=1.0)
        with pytest.raises(UserError, match="twice") as raised:
            model(latent=gaussian(3), penalties={name: PENALTIES[name], other: one})
        assert f"penalty={name} with penalty.{other}" in str(raised.value)
        assert len(str(raised.value).splitlines()) <= 3
