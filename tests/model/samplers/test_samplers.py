"""Samplers against the codes they were fitted to, and their files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from aecore.cli import main
from aecore.errors import UserError
from aecore.model.flows import Warp
from aecore.model.latents.hypersphere import Hypersphere
from aecore.model.latents.topk import TopK
from aecore.model.samplers.base import Sampler
from aecore.model.samplers.classes import fit_by_class
from aecore.model.samplers.flow import FlowSampler, Warped
from aecore.model.samplers.gaussian import GaussianSampler
from aecore.model.samplers.knn import KNN, Between
from aecore.model.samplers.two_stage import TwoStage
from aecore.runs.format import stamp
from aecore.runs.open import open_run
from aecore.runs.sampler_file import FILE, read_sampler, save_sampler
from helpers.models import gen, model, plain
from helpers.samplers import EVERY, flow, gmm, two_stage

LIKE = torch.zeros(1)


def skewed(n: int) -> Tensor:
    """Normal codes (n, 3) with a full covariance."""
    mixing = torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, -1.0], [0.0, 0.0, 0.3]])
    return torch.randn(n, 3, generator=gen()) @ mixing + torch.tensor([3.0, 0.0, -1.0])


def moons(n: int) -> Tensor:
    """Two interleaved half circles with some noise, (n, 2)."""
    angle = math.pi * torch.rand(n, generator=gen(1))
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.tensor([1.0, 0.3]) - upper
    both = torch.where((torch.arange(n) % 2 == 0)[:, None], upper, lower)
    return both + 0.05 * torch.randn(n, 2, generator=gen(2))


@pytest.mark.parametrize("seed", [0, 2**62])
def test_gaussian_has_the_moments_of_the_codes(seed: int) -> None:
    codes = skewed(500)
    fitted = GaussianSampler(images=500).fit(codes, seed)
    torch.testing.assert_close(fitted.mean, codes.mean(0))
    torch.testing.assert_close(fitted.factor.T @ fitted.factor, codes.T.cov())
    drawn = fitted.draw(40_000, LIKE, gen(1))
    torch.testing.assert_close(drawn.T.cov(), codes.T.cov(), rtol=0.05, atol=0.03)
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.05)


def test_gaussian_of_few_codes_stays_in_their_plane() -> None:
    codes = torch.randn(3, 5, generator=gen())
    drawn = GaussianSampler(images=3).fit(codes, 0).draw(100, LIKE, gen(1))
    spanned = torch.cat([drawn, codes]) - codes.mean(0)
    assert int(torch.linalg.matrix_rank(spanned.double(), rtol=1e-5)) == 2


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_gmm_finds_clusters_apart(covariance: Any) -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    which = torch.arange(600) % 6 % 3 % 2 + (torch.arange(600) % 3 == 2).long() * 2
    codes = centres[which] + torch.randn(600, 2, generator=gen()) * torch.tensor([0.5, 1.0])
    fitted = gmm(3, covariance).fit(codes, 0)
    order = torch.cdist(centres, fitted.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(fitted.means[order], centres, rtol=0, atol=0.3)
    torch.testing.assert_close(fitted.weights[order], which.bincount() / 600, rtol=1e-3, atol=0)
    drawn = fitted.draw(20_000, LIKE, gen(1))
    near = torch.cdist(drawn, centres).argmin(1)
    torch.testing.assert_close(near.bincount() / 20_000, which.bincount() / 600, rtol=0, atol=0.02)
    for k in range(3):
        own, given = drawn[near == k], codes[which == k]
        torch.testing.assert_close(own.var(0), given.var(0), rtol=0.1, atol=0)


@pytest.mark.parametrize("sampler", [*EVERY[:3], EVERY[4]])
@pytest.mark.parametrize("scale", [1e-5, 1e4])
def test_the_scale_of_codes_does_not_matter(sampler: Sampler, scale: float) -> None:
    codes = skewed(60)
    one, other = (sampler.fit(k * codes, 0).draw(50, LIKE, gen(1)) for k in (1.0, scale))
    torch.testing.assert_close(other / scale, one, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sampler", EVERY)
def test_just_enough_codes(sampler: Sampler) -> None:
    sampler.check(model(), sampler.least)
    with pytest.raises(UserError, match=f"it needs {sampler.least} codes"):
        sampler.check(model(), sampler.least - 1)


def test_full_covariances_are_drawn_from() -> None:
    codes = skewed(500)
    drawn = gmm(1).fit(codes, 0).draw(40_000, LIKE, gen(1))
    torch.testing.assert_close(drawn.T.cov(), codes.T.cov(), rtol=0.05, atol=0.03)


def test_knn_draws_between_neighbours() -> None:
    apart = torch.tensor([0.0, 100.0]).repeat_interleave(20)[:, None]
    codes = apart + torch.randn(40, 2, generator=gen())
    drawn = KNN(k=3, images=40).fit(codes, 0).draw(2500, LIKE, gen(1))
    assert drawn.shape == (2500, 2)
    pairs = torch.cdist(codes, codes).fill_diagonal_(math.inf)
    near = pairs.topk(3, largest=False).indices
    a, b = codes[:, None].expand(-1, 3, -1).reshape(-1, 2), codes[near].reshape(-1, 2)
    along = b - a
    share = ((drawn[:, None] - a) * along).sum(2) / along.square().sum(1)
    foot = a + share.clamp(0, 1)[..., None] * along
    off = (drawn[:, None] - foot).norm(dim=2).min(1).values
    assert float(off.max()) < 1e-3, "a draw lies between no code and one of its 3 nearest"
    assert float((torch.cdist(drawn, codes).min(1).values > 1e-3).float().mean()) > 0.9


@pytest.mark.parametrize("values", [{"hidden": []}, {"hidden": [0]}, {"epochs": 0}, {"lr": 0.0}])
def test_wrong_arguments(values: dict[str, Any]) -> None:
    given = {
        "kind": "affine", "transforms": 1, "hidden": [1], "epochs": 1, "batch_size": 1, "lr": 0.1,
        "images": 1,
    }  # fmt: skip
    FlowSampler(**given)
    with pytest.raises(ValidationError, match=next(iter(values))):
        FlowSampler(**(given | values))


def test_equal_codes_are_each_others_neighbours() -> None:
    drawn = Between(torch.ones(4, 2), k=2).draw(50, LIKE, gen())
    assert torch.equal(drawn, torch.ones(50, 2))


def test_flow_fits_what_no_gaussian_does() -> None:
    codes = moons(1000)
    fitted = flow(epochs=8).fit(codes, 0)
    around = torch.distributions.MultivariateNormal(codes.mean(0), codes.T.cov())
    held_out = moons(1400)[1000:]
    gained = fitted.log_prob(held_out).mean() - around.log_prob(held_out).mean()
    assert float(gained) > 0.8
    drawn = fitted.draw(400, LIKE, gen(3))
    on_moons = (torch.cdist(drawn, codes).min(1).values < 0.15).float().mean()
    of_gaussian = around.sample((400,))
    assert float(on_moons) > 0.75
    assert float((torch.cdist(of_gaussian, codes).min(1).values < 0.15).float().mean()) < 0.6


def test_second_stage_fits_what_no_gaussian_does() -> None:
    """Two clusters far apart, and hardly a code between them."""
    sign = torch.arange(600) % 2 * 2 - 1
    codes = 0.2 * torch.randn(600, 2, generator=gen()) + 3 * sign[:, None]
    second, normal = (
        sampler.fit(codes, 0).draw(400, LIKE, gen(3))
        for sampler in (two_stage(epochs=40), GaussianSampler(images=600))
    )
    between = [float((z.mean(1).abs() < 2).float().mean()) for z in (second, normal)]
    assert 2 * between[0] < between[1]


def test_flow_is_trained_by_the_plain_loop() -> None:
    """By Adam with a rate that falls to 0 along a cosine; all of it drawn from the seed."""
    codes = skewed(70)
    torch.manual_seed(99)
    word = FlowSampler(
        kind="affine", transforms=2, hidden=[4], epochs=3, batch_size=32, lr=0.05, images=70
    )
    fitted = word.fit(codes, 5)
    torch.manual_seed(5)
    warp = Warp("affine", 3, transforms=2, hidden=[4])
    optimizer, draws = torch.optim.Adam(warp.parameters()), gen(5)
    z = (codes - codes.mean(0)) / codes.std(0)
    for step in range(9):
        if step % 3 == 0:
            order = torch.randperm(70, generator=draws)
        optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * step / 9)) / 2
        normal, log_det = warp(z[order[32 * (step % 3) :][:32]])
        loss = (0.5 * normal.square().sum(1) - log_det).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, weight in warp.state_dict().items():
        torch.testing.assert_close(fitted.warp.state_dict()[name], weight, rtol=1e-4, atol=1e-5)


def test_flow_density_is_that_of_its_draws() -> None:
    fitted = flow().fit(skewed(300), 0)
    assert isinstance(fitted, Warped)
    z = fitted.draw(3000, LIKE, gen(1))
    around = torch.distributions.MultivariateNormal(z.mean(0), 1.5 * z.T.cov())
    ratio = (around.log_prob(z) - fitted.log_prob(z)).exp()  # integrates to 1 under the draws
    assert float((ratio.mean() - 1).abs() / ratio.std() * len(z) ** 0.5) < 4.5


@pytest.mark.parametrize("sampler", EVERY)
def test_a_temperature_scales_the_deviations_of_draws(sampler: Sampler) -> None:
    codes, labels = skewed(60), torch.arange(60) % 2
    for fitted in (sampler.fit(codes, 0), fit_by_class(sampler, codes, labels, 2, 0)):
        if fitted.no_temperature:
            assert isinstance(sampler, KNN)
            continue
        full, half, none = (fitted.draw(50, LIKE, gen(1), t) for t in (1.0, 0.5, 0.0))
        assert float((full - none).abs().mean()) > 0.1
        if isinstance(sampler, TwoStage):
            continue  # its networks are not linear
        if not isinstance(sampler, FlowSampler):
            torch.testing.assert_close(half, (full + none) / 2)
        elif isinstance(fitted, Warped):
            normals = [fitted.warp((z - fitted.mean) / fitted.scale)[0] for z in (full, half, none)]
            torch.testing.assert_close(normals[1], normals[0] / 2, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(normals[2], 0 * normals[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("sampler", EVERY)
def test_saved_and_read_it_draws_the_same(sampler: Sampler, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    fitted = sampler.fit(skewed(60), 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    again = sampler.fit(skewed(60), 3)
    whole = model(latent=plain(3))
    save_sampler(fitted, tmp_path / "sampler.ckpt")
    opened = read_sampler(sampler, tmp_path / "sampler.ckpt", whole)
    drawn = fitted.draw(7, LIKE, gen(1))
    assert drawn.shape == (7, 3) and bool(drawn.isfinite().all())
    assert torch.equal(drawn, opened.draw(7, LIKE, gen(1)))
    assert torch.equal(drawn, again.draw(7, LIKE, gen(1)))
    assert not torch.equal(drawn, fitted.draw(7, LIKE, gen(2)))
    with pytest.raises(UserError, match=r"sampler\.ckpt: truncated, damaged or another model's"):
        read_sampler(sampler, tmp_path / "sampler.ckpt", model(latent=plain(4)))


def test_files_that_are_no_samplers(tmp_path: Path) -> None:
    path, whole = tmp_path / "sampler.ckpt", model(latent=plain(3))
    with pytest.raises(UserError, match="no such file"):
        read_sampler(gmm(), path, whole)
    save_sampler(gmm().fit(skewed(60), 0), path)
    for other in (
        gmm(3),
        gmm(covariance="diag"),
        GaussianSampler(images=9),
        flow(),
        KNN(k=1, images=9),
    ):
        with pytest.raises(UserError, match="another model's sampler"):
            read_sampler(other, path, whole)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="truncated"):
        read_sampler(gmm(), path, whole)
    torch.save({**stamp(), "state_dict": {}, "step": 1, "epoch": 1}, path)
    with pytest.raises(UserError, match="another model's"):
        read_sampler(gmm(), path, whole)
    torch.save({"sampler": gmm().fit(skewed(60), 0).tensors()}, path)
    with pytest.raises(UserError, match="format 0"):
        read_sampler(gmm(), path, whole)


def test_a_sampler_comes_before_the_prior() -> None:
    whole = model(latent=plain(3))
    assert not whole.can_sample
    state = whole.state_dict().keys()
    whole.sampler = GaussianSampler(images=9).fit(torch.ones(9, 3), 0)
    assert whole.can_sample and whole.state_dict().keys() == state
    expected = whole.decode(torch.ones(2, 3))
    torch.testing.assert_close(whole.sample(2, gen()), expected)


@pytest.mark.parametrize(
    "latent", [Hypersphere(dim=3), TopK(dim=8, k=2, alpha=1.0, restart_weight=0.0, patience=9)]
)
def test_draws_become_codes_of_the_latent(latent: Any) -> None:
    whole = model(latent=latent).eval()
    dim = whole.code_shape[0]
    codes = torch.randn(30, dim, generator=gen())
    whole.sampler = GaussianSampler(images=30).fit(codes, 0)
    drawn = whole.latent.nearest(whole.sampler.draw(4, LIKE, gen(1)))
    torch.testing.assert_close(whole.sample(4, gen(1)), whole.decode(drawn))
    assert not torch.equal(drawn, whole.sampler.draw(4, LIKE, gen(1)))


TINY = ["model=ae", "logger=none", "latent.dim=4", "network.hidden=[32]", "trainer.max_epochs=2"]


def test_a_plain_autoencoder_draws_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [*TINY, "figures=samples", "sampler=gmm", "sampler.components=3", "hydra.run.dir=run"]
    assert main(argv) == 0
    folder = Path("run")
    assert (folder / "figures/samples.png").is_file()
    whole = open_run(folder).model()
    drawn = whole.sample(5, gen())
    first = (folder / FILE).read_bytes(), (folder / "metrics.json").read_bytes()
    assert main(["resume=run"]) == 0
    assert ((folder / FILE).read_bytes(), (folder / "metrics.json").read_bytes()) == first
    (folder / "metrics.json").unlink()  # as if it had been killed while it was measured
    (folder / FILE).write_bytes(b"half")
    capsys.readouterr()
    with pytest.raises(UserError, match="truncated"):
        open_run(folder).model()
    assert main(["resume=run"]) == 0
    assert (folder / FILE).read_bytes() == first[0]
    assert torch.equal(open_run(folder).model().sample(5, gen()), drawn)
    told, before = json.loads((folder / "metrics.json").read_text()), json.loads(first[1])
    assert told["test/loss"] == before["test/loss"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["model=ae", "sampler=gmm", "sampler.components=50", "sampler.images=40"],
            "sampler=gmm: it needs 50 codes and has 40",
        ),
        (["model=conv_ae", "network=conv_unpool", "sampler=knn"], "sampler=knn: this network"),
        (["sampler=gmm", "sampler.covariance=round"], "sampler.covariance=round: must be"),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_training(
    argv: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    assert said in capsys.readouterr().err
    assert not Path("outputs").exists()
