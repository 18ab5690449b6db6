"""Scores of codes against factors, where the answer is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aecore.evaluation.metrics.disentangled.scores import (
    completeness,
    disentanglement,
    factor_vae_score,
    forests,
    mig,
    modularity,
    mutual_information,
    predictability,
    sap,
    top_gap,
)

BINS = 20


def grid(*counts: int) -> NDArray[np.int64]:
    """(N, F): every combination once."""
    return np.stack(np.unravel_index(np.arange(math.prod(counts)), counts), 1)


def drawn(n: int, *counts: int, seed: int = 0) -> NDArray[np.int64]:
    """(n, F) independent and uniform."""
    return np.random.default_rng(seed).integers(0, counts, (n, len(counts)))


def score_factor_vae(codes: Any, factors: Any, seed: int = 0) -> float:
    return factor_vae_score(codes, factors, votes=100, group=32, draws=np.random.default_rng(seed))


def scores(codes: NDArray[np.float64], factors: NDArray[np.int64]) -> dict[str, float]:
    """All of them; the first half of the images is what is fitted to."""
    half = len(codes) // 2
    fit = codes[:half], factors[:half]
    information = mutual_information(codes, factors, BINS)
    importances, informativeness = forests(
        fit, (codes[half:], factors[half:]), trees=5, leaf=5, seed=0
    )
    return {
        "mig": mig(information, factors),
        "modularity": modularity(information),
        "sap": sap(predictability(fit, codes[half:], factors[half:])),
        "disentanglement": disentanglement(importances),
        "completeness": completeness(importances),
        "informativeness": informativeness,
        "factor_vae": score_factor_vae(codes, factors),
    }


class TestKnownCodes:
    FACTORS = drawn(2000, 16, 12, 14)

    def test_the_factors_themselves(self) -> None:
        found = scores(self.FACTORS.astype(float), self.FACTORS)
        assert all(value >= 0.9 for value in found.values()), found

    def test_order_sign_scale_and_noise_of_the_numbers_do_not_matter(self) -> None:
        noise = np.random.default_rng(1).normal(size=(2000, 2))
        codes = np.concatenate([self.FACTORS[:, [2, 0, 1]] * [-8.0, 0.125, 1.0], noise], 1)
        found = scores(codes, self.FACTORS)
        assert found.pop("modularity") > 0.5  # noise in a finite sample seems to tell something
        assert all(value >= 0.85 for value in found.values()), found

    def test_zeros(self) -> None:
        found = scores(np.zeros((2000, 3)), self.FACTORS)
        chance = found.pop("informativeness")
        assert chance == pytest.approx(np.mean([1 / 16, 1 / 12, 1 / 14]), abs=0.02)
        assert set(found.values()) == {0.0}

    def test_each_factor_twice(self) -> None:
        found = scores(np.tile(self.FACTORS, 2).astype(float), self.FACTORS)
        assert found["mig"] == pytest.approx(0) and found["sap"] == pytest.approx(0)
        assert found["modularity"] >= 0.9 and found["disentanglement"] >= 0.9
        assert found["completeness"] <= 0.75

    def test_a_rotation_entangles(self) -> None:
        turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
        found = scores(self.FACTORS @ turn, self.FACTORS)
        assert max(found["mig"], found["sap"]) < 0.4 and found["disentanglement"] < 0.4


class TestInformation:
    def test_is_in_nats_and_has_a_row_for_each_number(self) -> None:
        factors = grid(4, 6)
        codes = np.stack([factors[:, 1], factors[:, 0] // 2, 0 * factors[:, 0]], 1) / 3
        found = mutual_information(codes, factors, BINS)
        expected = [[0, math.log(6)], [math.log(2), 0], [0, 0]]
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_bins_are_equally_wide(self) -> None:
        factors = np.arange(8)[:, None]
        codes = np.array([0, 1, 2, 3, 4, 5, 6, 100.0])[:, None]
        told = [mutual_information(codes, factors, bins)[0, 0] for bins in (2, 20, 50)]
        shares = [[7, 1], [5, 2, 1], [2, 2, 2, 1, 1]]
        entropies = [-sum(n / 8 * math.log(n / 8) for n in part) for part in shares]
        assert told == pytest.approx(entropies)

    def test_mig_by_hand(self) -> None:
        factors = grid(4, 6)
        codes = np.stack([factors[:, 0], factors[:, 0] // 2, factors[:, 1], factors[:, 0] % 2], 1)
        information = mutual_information(codes.astype(float), factors, BINS)
        assert mig(information, factors) == pytest.approx((0.5 + 1) / 2)

    def test_mig_is_a_share_of_the_entropy_of_uneven_factors(self) -> None:
        factors = np.array([[0] * 12 + [1] * 3 + [2], [0, 1] * 8]).T
        codes = np.stack([factors[:, 0], factors[:, 1], factors[:, 0] > 0], 1).astype(float)
        information = mutual_information(codes, factors, BINS)
        entropy = -sum(n / 16 * math.log(n / 16) for n in (12, 3, 1))
        second = -sum(n / 16 * math.log(n / 16) for n in (12, 4))
        other = float(np.sort(information[:, 1])[-2])
        expected = (1 - second / entropy + 1 - other / math.log(2)) / 2
        assert mig(information, factors) == pytest.approx(expected)

    def test_the_gap_is_between_numbers_not_factors(self) -> None:
        """Of a matrix that is read across, or as if it were its own transpose, it is another."""
        information = np.array([[3.0, 2.0], [1.0, 7.0], [2.5, 4.0]])
        assert top_gap(information).tolist() == [0.5, 3.0]

    def test_modularity_by_hand(self) -> None:
        one = np.eye(10)
        one[0, 1] = 1
        assert modularity(one[:1]) == pytest.approx(1 - 1 / 9)
        assert modularity(one) == pytest.approx(1 - 1 / 90)
        assert modularity(np.full((2, 5), 0.3)) == pytest.approx(0)
        silent = np.concatenate([one[:1], np.zeros((3, 10))])
        assert modularity(silent) == pytest.approx(1 - 1 / 9)
        assert modularity(np.zeros((3, 2))) == 0


class TestDci:
    def test_one_number_for_two_of_ten_factors(self) -> None:
        importances = np.zeros((4, 10))
        importances[1, [2, 7]] = 1
        assert disentanglement(importances) == pytest.approx(1 - math.log(2) / math.log(10))
        assert completeness(importances) == pytest.approx(1)

    def test_two_numbers_for_one_of_ten_factors(self) -> None:
        importances = np.zeros((10, 3))
        importances[[2, 7], 1] = 1
        assert disentanglement(importances) == pytest.approx(1)
        assert completeness(importances) == pytest.approx(1 - math.log(2) / math.log(10))

    def test_numbers_count_by_what_they_matter(self) -> None:
        assert disentanglement(np.array([[3.0, 0.0], [0.5, 0.5]])) == pytest.approx(0.75)
        assert disentanglement(np.zeros((2, 2))) == 0

    def test_forests_find_what_matters(self) -> None:
        factors = drawn(600, 3, 4)
        noise = np.random.default_rng(3).normal(size=(600, 1))
        codes = np.concatenate([noise, factors[:, [1]], np.zeros((600, 1))], 1)
        fit, test = (codes[:400], factors[:400]), (codes[400:], factors[400:])
        importances, informativeness = forests(fit, test, trees=5, leaf=10, seed=0)
        np.testing.assert_allclose(importances.sum(0), 1)
        assert importances[1, 1] > 0.99 and importances[0, 0] > 0.8
        assert (importances[2] == 0).all()
        assert informativeness == pytest.approx((1 / 3 + 1) / 2, abs=0.06)
        again, _ = forests(fit, test, trees=5, leaf=10, seed=0)
        assert np.array_equal(again, importances)


class TestSap:
    def test_by_hand(self) -> None:
        factors = grid(4, 6)
        codes = np.stack([factors[:, 0], factors[:, 1], factors[:, 0] // 2], 1).astype(float)
        found = predictability((codes, factors), codes, factors)
        np.testing.assert_allclose(found, [[1, 1 / 6], [1 / 4, 1], [1 / 2, 1 / 6]], atol=1e-12)
        assert sap(found) == pytest.approx((1 / 2 + 5 / 6) / 2)

    def test_rare_values_count_like_frequent_ones(self) -> None:
        factors = np.array([0] * 90 + [1] * 10)[:, None]
        codes = np.stack([np.zeros(100), np.arange(100) >= 60], 1)
        found = predictability((codes, factors), codes, factors)
        assert found[:, 0] == pytest.approx([1 / 2, (60 / 90 + 1) / 2])

    def test_what_is_fitted_is_tried_elsewhere(self) -> None:
        factors = drawn(400, 5)
        noise = np.random.default_rng(4).normal(size=(400, 1))
        (found,) = predictability((noise[:50], factors[:50]), noise[50:], factors[50:])
        assert found[0] == pytest.approx(0.2, abs=0.1)


class TestFactorVae:
    def test_of_codes_that_tell_nothing_it_is_chance(self) -> None:
        factors = drawn(2000, 6, 6, 6, 6)
        noise = np.random.default_rng(5).normal(size=(2000, 8))
        found = np.mean([score_factor_vae(noise, factors, seed) for seed in range(5)])
        assert found == pytest.approx(1 / 4, abs=0.05)

    def test_one_number_for_two_factors_guesses_one_of_them(self) -> None:
        factors = grid(6, 6, 6)
        codes = np.stack([6.0 * factors[:, 0] + factors[:, 1], factors[:, 2]], 1)
        assert score_factor_vae(codes, factors) == pytest.approx(2 / 3, abs=0.02)

    def test_scale_and_constants_do_not_matter(self) -> None:
        factors = drawn(500, 5, 5)
        codes = np.random.default_rng(6).normal(size=(500, 2)) * 4 + factors @ [[1, 0.5], [0, 1]]
        other = np.concatenate([codes * [2.0**10, 2.0**-10], np.full((500, 1), 3.0)], 1)
        assert 0.5 < score_factor_vae(codes, factors) < 1
        assert score_factor_vae(other, factors) == score_factor_vae(codes, factors)

    def test_an_image_alone_with_its_value_does_not_vote(self) -> None:
        factors = grid(4, 4).repeat(8, 0)
        alone = np.stack([np.arange(4, 84), np.zeros(80, np.int64)], 1)
        codes = np.concatenate([factors, np.zeros((80, 2), np.int64)])[:, ::-1].astype(float)
        found = score_factor_vae(codes, np.concatenate([factors, alone]))
        assert found > 0.9
