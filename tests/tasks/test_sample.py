"""New images from a trained run, and the temperature of what they are drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import aecore
from aecore.cli import main
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.categorical import Categorical
from aecore.model.latents.hypersphere import Hypersphere
from aecore.model.penalties.kl import KL
from aecore.model.priors.base import Prior
from aecore.model.priors.flow import FlowPrior
from aecore.model.priors.mixture import Mixture
from aecore.model.priors.vamp import Vamp
from aecore.model.samplers.base import Fitted
from aecore.model.samplers.classes import fit_by_class
from aecore.model.samplers.flow import FlowSampler
from aecore.model.samplers.gaussian import GaussianSampler
from aecore.model.samplers.gmm import GMM
from aecore.model.samplers.knn import KNN
from aecore.training.setup import build_data
from helpers.models import gaussian, gen, model

TINY = ["logger=none", "figures=none", "trainer.max_epochs=1", "trainer.threads=1"]
LIKE = torch.zeros(1)
Draw = Callable[[float], Tensor]


def vae(prior: Prior | None = None, **words: object) -> Autoencoder:
    """Of codes of 3 numbers, its prior's parameters off their symmetric start."""
    made = model(**({"prior": prior, "latent": gaussian(3), "penalties": {"kl": KL()}} | words))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in made.prior.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return made.eval()


def of_prior(prior: Prior | None = None) -> Draw:
    made = vae(prior).prior_density
    return lambda t: made.sample((50, 3), LIKE, gen(2), t)


def of_sampler(fitted: Fitted) -> Draw:
    return lambda t: fitted.draw(50, LIKE, gen(2), t)


def points(n: int = 60) -> Tensor:
    return torch.randn(n, 3, generator=gen(5)) * torch.tensor([1.0, 2.0, 0.5]) + 1


def gmm(covariance: str, components: int = 2) -> GMM:
    return GMM(components=components, covariance=covariance, images=60)  # type: ignore[arg-type]


def flow_sampler() -> FlowSampler:
    terms = {"epochs": 2, "batch_size": 20, "lr": 0.01, "images": 60}
    return FlowSampler(kind="affine", transforms=2, hidden=[8], **terms)  # type: ignore[arg-type]


class TestTemperature:
    @pytest.mark.parametrize(
        "draw",
        [
            pytest.param(of_prior(), id="standard"),
            pytest.param(of_prior(Mixture(components=3)), id="mixture"),
            pytest.param(of_prior(Vamp(components=4, start="noise")), id="vamp"),
            pytest.param(of_sampler(GaussianSampler(images=60).fit(points(), 0)), id="gaussian"),
            pytest.param(of_sampler(gmm("full").fit(points(), 0)), id="gmm"),
            pytest.param(of_sampler(gmm("diag").fit(points(), 0)), id="diagonal gmm"),
        ],
    )
    @torch.no_grad()
    def test_scales_the_way_from_the_means(self, draw: Draw) -> None:
        mean, whole = draw(0.0), draw(1.0)
        assert float((whole - mean).abs().min(1).values.max()) > 0
        torch.testing.assert_close(draw(0.3), mean + 0.3 * (whole - mean))
        torch.testing.assert_close(draw(2.0), mean + 2.0 * (whole - mean))

    @torch.no_grad()
    def test_at_0_only_means_are_left(self) -> None:
        fitted = gmm("full").fit(points(), 0)
        drawn = fitted.draw(50, LIKE, gen(2), 0.0)
        assert bool((drawn[:, None] == fitted.means).all(2).any(1).all())
        assert bool((of_prior()(0.0) == 0).all())
        made = vae(Vamp(components=4, start="noise"))
        assert isinstance(made.prior, Vamp)
        posterior = made.encode(made.prior.images(made)).posterior
        assert posterior is not None
        drawn = made.prior_density.sample((50, 3), LIKE, gen(2), 0.0)
        apart = (drawn[:, None] - posterior.mean).abs().amax(2)
        assert float(apart.min(1).values.max()) < 1e-6
        assert len(set(apart.argmin(1).tolist())) == 4

    def test_of_a_flow_scales_what_it_bends(self) -> None:
        made = vae(FlowPrior(kind="affine", transforms=2, hidden=[8])).prior
        bent = made.sample((50, 3), LIKE, gen(2), 0.4)
        assert isinstance(made, FlowPrior)
        normal = torch.empty(50, 3).normal_(generator=gen(2))
        torch.testing.assert_close(made.warp(bent)[0].detach(), 0.4 * normal, rtol=1e-4, atol=1e-5)
        fitted = flow_sampler().fit(points(), 0)
        bent = (fitted.draw(50, LIKE, gen(2), 0.4) - fitted.mean) / fitted.scale
        torch.testing.assert_close(fitted.warp(bent)[0], 0.4 * normal, rtol=1e-4, atol=1e-5)

    def test_of_a_class(self) -> None:
        labels = torch.arange(60) % 2
        codes = points() + 9 * labels[:, None]
        fitted = fit_by_class(GaussianSampler(images=60), codes, labels, 2, 0)
        drawn = fitted.draw_of(torch.tensor([1, 0, 1]), LIKE, gen(), 0.0)
        means = torch.stack([codes[labels == k].mean(0) for k in (1, 0, 1)])
        torch.testing.assert_close(drawn, means)
        assert fitted.no_temperature is None

    @pytest.mark.parametrize(
        ("made", "reason"),
        [
            (vae(latent=Hypersphere(dim=3)), "uniform over directions"),
            (
                vae(
                    latent=Categorical(
                        variables=2, categories=3, temperature=1.0, temperature_end=1.0, epochs=0.0,
                        hard=False,
                    )
                ),
                "uniform over categories",
            ),
            (vae(Vamp(components=2, start="noise"), latent=Hypersphere(dim=3)), "no Gaussian"),
        ],
    )  # fmt: skip
    def test_is_refused_where_it_means_nothing(self, made: Autoencoder, reason: str) -> None:
        assert made.sample(2, gen(), temperature=1.0).shape == (2, 1, 4, 4)
        with pytest.raises(UserError, match=f"^temperature=0.5: this prior.* {reason}"):
            made.sample(2, gen(), temperature=0.5)

    def test_is_refused_between_codes_by_class_too(self) -> None:
        made = vae()
        made.sampler = KNN(k=3, images=60).fit(points(), 0)
        with pytest.raises(UserError, match="between the codes themselves"):
            made.sample(2, gen(), temperature=2.0)
        labels = torch.arange(60) % 2
        assert fit_by_class(KNN(k=3, images=60), points(), labels, 2, 0).no_temperature

    @pytest.mark.parametrize("temperature", [-0.1, math.nan, math.inf])
    def test_must_be_a_number_that_scales(self, temperature: float) -> None:
        with pytest.raises(UserError, match="must be 0 or more"):
            vae().sample(2, gen(), temperature=temperature)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small trained runs; not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    table = root / "table.npz"
    np.savez(table, x=np.random.default_rng(0).random((60, 5), np.float32))
    words = {
        "vae": ["model=vae"],
        "ae": ["model=ae", "latent.dim=2"],
        "cvae": ["model=cvae", "dataset.classes=[3,5,8]", "dataset.val_size=20"],
        "table": ["model=vae", "dataset=arrays", f"dataset.path={table}", "dataset.batch_size=8"],
    }
    for name, given in words.items():
        assert main([*TINY, *given, f"hydra.run.dir={root / name}"]) == 0
    return {name: root / name for name in words}


def stored(x: np.ndarray | Tensor) -> np.ndarray:
    """Images (N, 1, H, W) as the grey PNG files hold them, (N, H, W)."""
    found: np.ndarray = (torch.as_tensor(x)[:, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return found


def read(folder: Path) -> np.ndarray:
    """The PNG files below a folder, by name, (N, H, W)."""
    return np.stack([np.array(Image.open(file)) for file in sorted(folder.rglob("*.png"))])


class TestRuns:
    def test_images_are_those_of_python(self, runs: dict[str, Path], tmp_path: Path) -> None:
        given = [f"run={runs['vae']}", "task=sample", "sample.n=5", "sample.temperature=0.5"]
        assert main([*given, f"out={tmp_path}"]) == 0
        names = [f"{n:04d}.png" for n in range(5)]
        assert sorted(file.name for file in (tmp_path / "images").iterdir()) == names
        expected = aecore.load(runs["vae"]).sample(5, temperature=0.5)
        assert np.array_equal(read(tmp_path / "images"), stored(expected))
        assert Image.open(tmp_path / "samples.png").size[0] > 3 * 8

    def test_a_sampler_is_fitted_where_there_is_no_prior(
        self, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = [f"run={runs['ae']}", "task=sample", "sample.n=3"]
        assert main(given) == 2
        told = capsys.readouterr().err
        assert f"run={runs['ae']} task=sample sampler=gmm" in told
        assert len(told.splitlines()) == 2 and not (runs["ae"] / "sample").exists()
        assert main([*given, "sampler=gaussian", "sample.seed=4"]) == 0
        assert "3 new images from sampler=gaussian" in capsys.readouterr().out
        (folder,) = (runs["ae"] / "sample").iterdir()
        ae = aecore.load(runs["ae"])
        assert ae.run is not None
        training = build_data(ae.run.config).train.pixels()
        ae.model.sampler = GaussianSampler(images=9999).fit(ae.encode(training), 0)
        apart = read(folder / "images").astype(int) - stored(ae.sample(3, seed=4))
        assert np.abs(apart).max() <= 1, "other batches round differently"
        assert np.abs(stored(ae.sample(3)).astype(int) - stored(ae.sample(3, seed=4))).max() > 3

    def test_by_class(self, runs: dict[str, Path], tmp_path: Path) -> None:
        given = [f"run={runs['cvae']}", "task=sample", "sample.n=7", f"out={tmp_path / 'turn'}"]
        assert main(given) == 0
        found = {f.name: len(list(f.iterdir())) for f in (tmp_path / "turn/images").iterdir()}
        assert found == {"3": 3, "5": 2, "8": 2}, "only those that it was trained on"
        expected = aecore.load(runs["cvae"]).sample(7, [3, 5, 8, 3, 5, 8, 3])
        for first, name in enumerate(("3", "5", "8")):
            own = range(7)[first::3]
            files = sorted((tmp_path / "turn/images" / name).iterdir())
            assert [file.name for file in files] == [f"{n:04d}.png" for n in own]
            assert np.array_equal(read(files[0].parent), stored(expected[first::3]))
        assert main([*given[:3], "sample.label=[5]", f"out={tmp_path / 'one'}"]) == 0
        assert [f.name for f in (tmp_path / "one/images").iterdir()] == ["5"]

    def test_rows_of_a_table(self, runs: dict[str, Path], tmp_path: Path) -> None:
        given = [f"run={runs['table']}", "task=sample", "sample.n=4", f"out={tmp_path}"]
        assert main(given) == 0
        with np.load(tmp_path / "samples.npz", allow_pickle=False) as found:
            assert found.files == ["x"]
            assert np.array_equal(found["x"], aecore.load(runs["table"]).sample(4)[:, 0, 0])
        assert not (tmp_path / "samples.png").exists()

    @pytest.mark.parametrize(
        ("run", "override", "told"),
        [
            ("vae", "sample.n=0", "sample.n=0: must be greater than or equal to 1"),
            ("vae", "sample.label=3", "sample.label=3: this model is not class-conditional"),
            ("cvae", "sample.label=4", "sample.label=4: this model was trained on 3, 5, 8 alone"),
            ("cvae", "sample.label=cat", "sample.label=cat: no class 'cat'\n  known: 0, 1, 2"),
            (
                "vae",
                "sample.temperature=-1",
                "sample.temperature=-1: must be greater than or equal to 0",
            ),
            ("vae", f"sample.seed={2**63}", "must be less than 9223372036854775808"),
        ],
    )
    def test_is_refused(
        self,
        runs: dict[str, Path],
        run: str,
        override: str,
        told: str,
        refused: Callable[..., None],
    ) -> None:
        refused(told, f"run={runs[run]}", "task=sample", override)
