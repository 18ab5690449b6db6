"""Noise by its statistics, with bounds of 4.5 standard errors; its randomness and its extremes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from aecore.model.noise.base import Noise, Span
from aecore.model.noise.noises import Chain, Dropout, GaussianNoise, NoNoise, SaltAndPepper, Stains
from helpers.models import gen, images, model

N = 100_000
UNIT: Span = (torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
ALL: list[Noise] = [
    NoNoise(),
    GaussianNoise(std=0.3),
    Dropout(p=0.3),
    SaltAndPepper(p=0.3, salt=0.4),
    Stains(depth=0.2, size=3),
    Chain(steps=[GaussianNoise(std=0.2), Dropout(p=0.5)]),
]
RANDOM = ALL[1:]


def near(share: float, p: float, n: int = N) -> bool:
    """Whether a share of n draws is that of probability p."""
    return abs(share - p) <= 4.5 * (p * (1 - p) / n) ** 0.5


def grey(n: int = N) -> Tensor:
    return torch.full((n, 1, 1, 1), 0.25)


class TestStatistics:
    def test_gaussian(self) -> None:
        x = images(N, 1, 1, 1)
        eps = (GaussianNoise(std=0.3)(x, gen(1), UNIT) - x).flatten()
        assert abs(float(eps.mean())) < 4.5 * 0.3 / N**0.5
        assert abs(float(eps.std()) / 0.3 - 1) < 4.5 / (2 * N) ** 0.5
        kurtosis = float(((eps / 0.3) ** 4).mean())
        assert abs(kurtosis - 3) < 4.5 * (96 / N) ** 0.5
        assert abs(float(torch.corrcoef(torch.stack([eps, x.flatten()]))[0, 1])) < 4.5 / N**0.5
        neighbours = torch.corrcoef(torch.stack([eps[1:], eps[:-1]]))
        assert abs(float(neighbours[0, 1])) < 4.5 / N**0.5

    @pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
    def test_dropout(self, p: float) -> None:
        x = grey().reshape(N // 4, 1, 2, 2)
        masked = Dropout(p=p)(x, gen(), UNIT)
        assert set(masked.unique().tolist()) == {0.0, 0.25}
        gone = masked == 0
        assert near(float(gone.float().mean()), p)
        assert near(float((gone[:, 0, 0, 0] & gone[:, 0, 1, 1]).float().mean()), p * p, N // 4)

    @pytest.mark.parametrize(("p", "salt"), [(0.3, 0.5), (0.3, 0.1), (1.0, 0.25), (0.5, 1.0)])
    def test_salt_and_pepper(self, p: float, salt: float) -> None:
        spoilt = SaltAndPepper(p=p, salt=salt)(grey(), gen(), UNIT)
        shares = {float(v): float((spoilt == v).float().mean()) for v in (0.0, 0.25, 1.0)}
        assert sum(shares.values()) == pytest.approx(1)
        assert near(shares[1.0], p * salt) and near(shares[0.0], p * (1 - salt))
        assert near(shares[0.25], 1 - p)

    def test_salt_and_pepper_of_standardised_images(self) -> None:
        shift = torch.tensor([0.1, 0.5, 0.9])[:, None, None]
        scale = torch.tensor([0.2, 0.4, 2.0])[:, None, None]
        whole = model(
            image_shape=(3, 4, 4), noise=SaltAndPepper(p=1.0, salt=0.5), shift=shift, scale=scale
        )
        p = whole.run(images(50, 3, 4, 4), gen(), noisy=True, sample=False)
        for channel in range(3):
            s, d = float(shift[channel]), float(scale[channel])
            found = p.x_in[:, channel].unique().tolist()
            assert found == pytest.approx([-s / d, (1 - s) / d], rel=1e-5)
        pixels = whole.corrupt(images(50, 3, 4, 4), gen())
        assert torch.allclose(pixels * (1 - pixels), torch.zeros(1), atol=1e-5)
        assert near(float(pixels.round().mean()), 0.5, 50 * 48)


class TestStains:
    def test_half_of_the_image_is_darker(self) -> None:
        x = images(400, 1, 40, 40)
        darker = x - Stains(depth=0.5, size=8)(x, gen(), UNIT)
        assert float(darker.min()) >= 0
        share = (darker > 1e-6).float().mean((1, 2, 3))  # of independent images
        assert abs(float(share.mean()) - 0.5) < 4.5 * float(share.std()) / 400**0.5
        twice = x - Stains(depth=1.0, size=8)(x, gen(), UNIT)
        torch.testing.assert_close(twice, 2 * darker, atol=1e-6, rtol=1e-5)

    def test_it_changes_gradually(self) -> None:
        """Independent draws would change by 2**0.5 of their deviation from pixel to pixel."""
        darker = -Stains(depth=1.0, size=8)(torch.zeros(100, 1, 64, 64), gen(), UNIT)
        steps = darker.diff(dim=3).square().mean().sqrt()
        assert float(steps) < 0.3 * float(darker.std()) * 2**0.5
        far = torch.corrcoef(torch.stack([darker[:, 0, 32, 0], darker[:, 0, 32, 63]]))[0, 1]
        assert abs(float(far)) < 4.5 / 100**0.5

    @pytest.mark.parametrize("shape", [(2, 1, 1, 50), (2, 3, 1, 1), (2, 1, 5, 90)])
    def test_any_shape(self, shape: tuple[int, ...]) -> None:
        assert Stains(depth=1.0, size=8)(torch.zeros(shape), gen(), UNIT).shape == shape


@pytest.mark.parametrize("noise", RANDOM, ids=lambda n: type(n).__name__)
class TestRandomness:
    def test_the_generator_decides(self, noise: Noise) -> None:
        x = images(9, 3, 4, 4)
        before = torch.get_rng_state()
        spoilt = noise(x, gen(1), UNIT)
        assert torch.equal(spoilt, noise(x, gen(1), UNIT))
        assert not torch.equal(spoilt, noise(x, gen(2), UNIT))
        assert torch.equal(before, torch.get_rng_state())

    def test_goes_on_with_its_generator(self, noise: Noise) -> None:
        x, generator = images(9, 3, 4, 4), gen()
        assert not torch.equal(noise(x, generator, UNIT), noise(x, generator, UNIT))

    def test_without_a_generator_it_is_torch_that_is_seeded(self, noise: Noise) -> None:
        x = images(9, 3, 4, 4)
        torch.manual_seed(1)
        spoilt = noise(x, None, UNIT)
        torch.manual_seed(1)
        assert torch.equal(spoilt, noise(x, None, UNIT))

    def test_not_in_place(self, noise: Noise) -> None:
        x = images(9, 3, 4, 4)
        kept = x.clone()
        assert noise(x, gen(), UNIT).shape == x.shape
        assert torch.equal(x, kept)
        assert noise.active

    def test_double_precision_stays(self, noise: Noise) -> None:
        span = (UNIT[0].double(), UNIT[1].double())
        assert noise(images(2, 1, 4, 4).double(), gen(), span).dtype == torch.float64


class TestExtremes:
    @pytest.mark.parametrize(
        "noise",
        [
            NoNoise(),
            GaussianNoise(std=0),
            Dropout(p=0),
            SaltAndPepper(p=0, salt=1),
            Stains(depth=0, size=2),
        ],
        ids=type,
    )
    def test_nothing(self, noise: Noise) -> None:
        x = images(50, 3, 4, 4)
        assert torch.equal(noise(x, gen(), UNIT), x)

    def test_everything(self) -> None:
        x = images(50, 3, 4, 4) + 0.1
        assert torch.equal(Dropout(p=1)(x, gen(), UNIT), torch.zeros_like(x))
        white = SaltAndPepper(p=1, salt=1)(x, gen(), UNIT)
        black = SaltAndPepper(p=1, salt=0)(x, gen(), UNIT)
        assert torch.equal(white, torch.ones_like(x)) and torch.equal(black, torch.zeros_like(x))


class TestChain:
    def test_one_after_another(self) -> None:
        x = images(9, 3, 4, 4)
        steps: list[Noise] = [
            GaussianNoise(std=0.2),
            Dropout(p=0.5),
            SaltAndPepper(p=0.1, salt=0.5),
        ]
        generator = gen()
        expected = x
        for step in steps:
            expected = step(expected, generator, UNIT)
        assert torch.equal(Chain(steps=steps)(x, gen(), UNIT), expected)
        assert not torch.equal(Chain(steps=steps[::-1])(x, gen(), UNIT), expected)

    def test_is_active_where_a_step_is(self) -> None:
        assert not NoNoise().active and not Chain(steps=[NoNoise(), NoNoise()]).active
        assert Chain(steps=[NoNoise(), Dropout(p=0.1)]).active


class TestInAModel:
    def test_noise_enters_the_encoder_alone(self) -> None:
        whole = model(noise=GaussianNoise(std=0.5))
        x = images(5, 1, 4, 4)
        p = whole.run(x, gen(), noisy=True, sample=True)
        assert torch.equal(p.x, x) and torch.equal(p.x_in, GaussianNoise(std=0.5)(x, gen(), UNIT))
        assert torch.equal(p.h, whole.encoder(p.x_in))
        clean = whole.run(x, gen(), noisy=False, sample=True)
        assert torch.equal(clean.x_in, x)
        assert torch.equal(whole.encode(x).mean, clean.code.mean)

    def test_corrupt(self) -> None:
        x = images(5, 1, 4, 4)
        whole = model(noise=GaussianNoise(std=0.5))
        assert torch.equal(whole.corrupt(x, gen()), GaussianNoise(std=0.5)(x, gen(), UNIT))
        assert torch.equal(whole.corrupt(x, gen(), Dropout(p=1)), torch.zeros_like(x))
        assert torch.equal(model().corrupt(x, gen()), x)

    def test_noise_is_in_units_of_the_deviation(self) -> None:
        half = torch.full((1, 1, 1), 0.5)
        whole = model(noise=GaussianNoise(std=0.2), shift=half, scale=half)
        x = images(4000, 1, 4, 4)
        change = whole.corrupt(x, gen()) - x
        assert float(change.std()) == pytest.approx(0.1, rel=4.5 / (2 * 64_000) ** 0.5)


@pytest.mark.parametrize(
    ("noise", "arguments"),
    [
        (GaussianNoise, {"std": -0.1}),
        (GaussianNoise, {"std": "0.1"}),
        (GaussianNoise, {"std": float("inf")}),
        (GaussianNoise, {}),
        (Dropout, {"p": 1.1}),
        (Dropout, {"p": True}),
        (SaltAndPepper, {"p": 0.1}),
        (SaltAndPepper, {"p": 0.1, "salt": 2}),
        (Chain, {"steps": []}),
        (Chain, {"steps": ["gaussian"]}),
        (NoNoise, {"p": 0.1}),
    ],
    ids=str,
)
def test_wrong_arguments(noise: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        noise(**arguments)
