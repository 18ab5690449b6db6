"""What classifiers read of codes, and the rank of their covariance."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.linalg import hadamard
from torch import Tensor

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.code_rank import CodeRank
from aecore.evaluation.metrics.perplexity import Perplexity
from aecore.evaluation.metrics.probe import Probe
from aecore.evaluation.trial import Trial
from aecore.model.latents.categorical import Categorical
from aecore.model.latents.vq import VQ
from helpers.models import gen, images, model, plain
from helpers.trials import perfect, trial

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


class TestProbe:
    def probe(self, training: Split, test: Split, **changes: Any) -> dict[str, float]:
        values: dict[str, Any] = {
            "images": None,
            "neighbours": 5,
            "iterations": 1000,
            "standardise": True,
        }
        on = Trial(perfect(), test, read_training=lambda: training, batch_size=70)
        return Probe(**(values | changes))(on)

    def test_what_is_near_and_what_is_linear(self) -> None:
        x, y = images(400, 1, 2, 2), images(200, 1, 2, 2, seed=1)

        def half(p: Tensor) -> Tensor:
            return (p[:, 0, 0, 0] > 0.5).long()

        def odd(p: Tensor) -> Tensor:
            return half(p) ^ (p[:, 0, 0, 1] > 0.5).long()

        found = self.probe(Split(x, half(x)), Split(y, half(y)))
        assert found["logistic_accuracy"] > 0.96
        found = self.probe(Split(x, odd(x)), Split(y, odd(y)))
        assert found["knn_accuracy"] > 0.8
        assert found["logistic_accuracy"] < 0.65, "no line parts them"

    def test_neighbours_of_the_obvious_loop(self) -> None:
        x, y = images(60, 1, 2, 2), images(30, 1, 2, 2, seed=1)
        labels, truth = (torch.randint(3, (n,), generator=gen()) for n in (60, 30))
        right = 0
        for code, label in zip(y.flatten(1), truth, strict=True):
            near = (x.flatten(1) - code).square().sum(1).argsort()[:3]
            right += int(labels[near].bincount(minlength=3).argmax() == label)
        found = self.probe(Split(x, labels), Split(y, truth), neighbours=3)
        assert found["knn_accuracy"] == pytest.approx(right / 30)

    def test_as_many_neighbours_as_training_images(self) -> None:
        few, x = images(5, 1, 2, 2), images(9, 1, 2, 2, seed=1)
        training, test = Split(few, torch.tensor([1, 0, 1, 1, 0])), Split(x, torch.arange(9) % 2)
        assert self.probe(training, test)["knn_accuracy"] == pytest.approx(4 / 9), "all say 1"
        with pytest.raises(SkippedError, match="6 neighbours of 5 training images"):
            self.probe(training, test, neighbours=6)

    def test_codes_are_standardised_for_the_line_alone(self) -> None:
        x, y = images(300, 1, 2, 2), images(200, 1, 2, 2, seed=1)
        labels, truth = ((p[:, 0, 0, 0] > 0.5).long() for p in (x, y))
        for pixels in (x, y):
            pixels[:, 0, 0, 0] *= 1e-3
        found = self.probe(Split(x, labels), Split(y, truth))
        assert found["logistic_accuracy"] > 0.96
        assert found["knn_accuracy"] < 0.7
        found = self.probe(Split(x, labels), Split(y, truth), standardise=False)
        assert found["logistic_accuracy"] < 0.7

    def test_some_training_images(self) -> None:
        x = images(50, 1, 2, 2)
        labels = torch.arange(50) % 2
        on = Split(x, labels)
        assert self.probe(on, on, neighbours=1)["knn_accuracy"] == 1
        assert self.probe(on, on, neighbours=1, images=10)["knn_accuracy"] < 1
        with pytest.raises(SkippedError, match="5 neighbours of 4 training images"):
            self.probe(on, on, images=4)

    def test_without_labels(self) -> None:
        x = images(9, 1, 2, 2)
        with pytest.raises(SkippedError, match="no labels"):
            self.probe(Split(x), Split(x))
        with pytest.raises(SkippedError, match="same label"):
            self.probe(Split(x, torch.arange(9)), Split(x, torch.full((9,), 3)))


class TestRank:
    def test_dimensions_that_vary_alike(self) -> None:
        signs = torch.from_numpy(hadamard(16)).float()[:, 1:5].view(16, 1, 2, 2)
        for kept in (1, 3, 4):
            x = torch.full((16, 4), 0.5)
            x[:, :kept] += 0.25 * signs.flatten(1)[:, :kept]
            on = trial(perfect(), images=Split(x.view(16, 1, 2, 2)))
            assert CodeRank()(on) == pytest.approx(
                {"code_rank": kept, "effective_rank": kept, "participation_ratio": kept}, rel=1e-6
            )

    def test_uneven_dimensions(self) -> None:
        on = trial()
        z = on.model.encode(on.images.pixels()).mean
        p = torch.linalg.eigvalsh(torch.cov(z.double().T))
        p = p / p.sum()
        expected = {
            "code_rank": 3.0,
            "effective_rank": math.exp(-sum(v * math.log(v) for v in p.tolist())),
            "participation_ratio": 1 / sum(v * v for v in p.tolist()),
        }
        found = CodeRank()(on)
        assert found == pytest.approx(expected, rel=1e-4)
        assert found["participation_ratio"] < found["effective_rank"] < 3

    def test_of_a_code_of_one_number(self) -> None:
        found = CodeRank()(trial(model(latent=plain(1))))
        assert [*found.values()] == pytest.approx([1.0, 1.0, 1.0])

    def test_rounding_far_from_zero_is_no_dimension(self) -> None:
        flat = 0.01 * torch.randn(200, 2, generator=gen()) @ torch.randn(2, 4, generator=gen(1))
        for far in (0.0, 3.0, 300.0):
            on = trial(perfect(), images=Split((flat + far).view(200, 1, 2, 2)))
            assert CodeRank()(on)["code_rank"] == 2

    def test_one_code_for_all_and_codes_too_large(self) -> None:
        on = trial(perfect(), images=Split(torch.full((5, 1, 2, 2), 0.3)))
        assert set(CodeRank()(on).values()) == {0.0}
        with pytest.raises(SkippedError, match="codes of 4097 dimensions"):
            CodeRank()(trial(model(latent=plain(4097))))


class TestPerplexity:
    """A codebook for each variable, or one for all words."""

    @pytest.mark.parametrize("shared", [False, True])
    def test_by_counting(self, shared: bool) -> None:
        latent = (
            VQ(
                codebook_size=4,
                dim=3,
                tokens=2,
                commitment=0.1,
                update="ema",
                decay=0.9,
                restart_below=0.1,
            )
            if shared
            else Categorical(
                variables=2,
                categories=4,
                temperature=1.0,
                temperature_end=1.0,
                epochs=1,
                hard=False,
            )
        )
        on = trial(model(latent=latent))
        indices = on.model.encode(on.images.pixels()).indices
        assert indices is not None
        groups = [indices.flatten()] if shared else [*indices.T]
        shares = [(group.bincount(minlength=4) / len(group)).tolist() for group in groups]
        entropies = [-sum(p * math.log(p) for p in share if p) for share in shares]
        used = [sum(p > 0 for p in share) / 4 for share in shares]
        assert max(entropies) > 0.1
        expected = math.exp(sum(entropies) / len(groups)), sum(used) / len(groups), 4.0
        names = ("perplexity", "codes_used", "code_bits")
        assert Perplexity()(on) == pytest.approx(dict(zip(names, expected, strict=True)))
