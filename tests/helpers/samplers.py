"""Samplers that are fitted in no time."""

from __future__ import annotations

from typing import Any

import pytest

from aecore.model.samplers.flow import FlowSampler
from aecore.model.samplers.gaussian import GaussianSampler
from aecore.model.samplers.gmm import GMM
from aecore.model.samplers.knn import KNN
from aecore.model.samplers.two_stage import TwoStage


def gmm(components: int = 2, covariance: Any = "full") -> GMM:
    return GMM(components=components, covariance=covariance, images=100)


def flow(epochs: int = 1) -> FlowSampler:
    return FlowSampler(
        kind="spline", transforms=2, hidden=[32], epochs=epochs, batch_size=128, lr=1e-2, images=100
    )


def two_stage(epochs: int = 1) -> TwoStage:
    return TwoStage(hidden=[32], epochs=epochs, batch_size=64, lr=1e-2, images=100)


EVERY = [
    pytest.param(GaussianSampler(images=100), id="gaussian"),
    pytest.param(gmm(), id="gmm"),
    pytest.param(gmm(covariance="diag"), id="gmm-diag"),
    pytest.param(flow(), id="flow"),
    pytest.param(KNN(k=3, images=100), id="knn"),
    pytest.param(two_stage(), id="two_stage"),
]
