"""The AUROC of pixels against scikit-learn's, and the map of errors against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from aecore.evaluation.metrics.error_map import PixelAuroc, error_map


def test_by_hand() -> None:
    """Pairs of 3 anomalous and 3 normal pixels: 6 in order, 2 ties, 1 the other way."""
    errors = torch.tensor([[0.5, 0.3, 0.2], [0.3, 0.1, 0.0]]).view(1, 1, 2, 3)
    masks = torch.tensor([[1, 1, 1], [0, 0, 0]]).bool().view(1, 1, 2, 3)
    errors[0, 0, 0, 2] = 0.1
    found = PixelAuroc()
    found.add(errors, masks)
    assert found.pixels == (3, 3)
    # 0.5 above all three; 0.3 ties 0.3, above two; 0.1 below 0.3, ties 0.1, above 0
    assert found.compute() == pytest.approx((3 + 2.5 + 1.5) / 9)


def test_many_batches_are_as_all_pixels_in_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    masks = torch.from_numpy(rng.random((7, 1, 20, 30)) < 0.1)
    errors = torch.from_numpy(10 ** rng.normal(-3, 2, masks.shape)).float() * (1 + 5 * masks)
    errors[0, 0, :5] = 0
    found = PixelAuroc()
    for first in (0, 3):
        found.add(errors[first : first + 3], masks[first : first + 3])
    found.add(errors[6:], masks[6:])
    wanted = roc_auc_score(masks.flatten(), errors.flatten())
    assert 0.55 < wanted < 0.9 and found.compute() == pytest.approx(wanted, abs=1e-4)


def test_nan_counts_as_the_largest() -> None:
    found = PixelAuroc()
    found.add(torch.tensor([1e30, -torch.nan]).view(1, 1, 1, 2), torch.tensor([[[[False, True]]]]))
    assert found.compute() == 1


def test_error_map() -> None:
    x, output = torch.rand(2, 2, 3, 9, 11).unbind(0)
    errors = error_map(output, x)
    for n, i, j in ((0, 2, 3), (1, 8, 10)):
        wanted = sum(float(output[n, c, i, j] - x[n, c, i, j]) ** 2 for c in range(3)) / 3
        assert float(errors[n, 0, i, j]) == pytest.approx(wanted, rel=1e-5)
    weights = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    wanted = (errors[0, 0, 1:8, 2:9].numpy() * weights).sum()
    assert float(error_map(output, x, 1.0)[0, 0, 4, 5]) == pytest.approx(wanted, rel=1e-5)
