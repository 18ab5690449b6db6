"""How alike sets of images are, by distances of features, against known answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scipy.linalg
import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.samples.classifier_cache import cached_classifier
from aecore.evaluation.metrics.samples.distances import frechet, precision_recall
from aecore.evaluation.metrics.samples.extractor import FEATURES, trained_classifier
from aecore.evaluation.metrics.samples.frechet import Frechet, samples
from aecore.evaluation.metrics.samples.inception import Inception, weights_file
from aecore.evaluation.trial import Trial
from aecore.model.penalties.kl import KL
from helpers.extras import needs
from helpers.models import gaussian, gen, images, model
from helpers.trials import perfect, trial

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


def points(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=gen(seed), dtype=torch.float64)


def exactly(mean: Tensor, root: Tensor, seed: int) -> Tensor:
    """Points of exactly that mean, and of the covariance root @ root.T."""
    x = points(50, len(mean), seed)
    x = x - x.mean(0)
    white = torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T)))
    return mean + x @ white.T @ root.T


def by_torchmetrics(made: Tensor, real: Tensor) -> float:
    """The Frechet distance of points."""

    class Same(torch.nn.Module):
        num_features = made.shape[1]

        def forward(self, x: Tensor) -> Tensor:
            return x

    reference = FrechetInceptionDistance(feature=Same())
    reference.update(real, real=True)
    reference.update(made, real=False)
    return float(reference.compute())


class TestDistances:
    def test_of_two_gaussians(self) -> None:
        """Any two: with scipy's root of a matrix."""
        means, roots = points(2, 4), points(8, 4, seed=1).view(2, 4, 4)
        a, b = (exactly(means[i], roots[i], seed=i) for i in (0, 1))
        covariances = [root @ root.T for root in roots]
        root = scipy.linalg.sqrtm((covariances[0] @ covariances[1]).numpy()).real
        apart = float((means[0] - means[1]).square().sum())
        expected = apart + float(sum(c.trace() for c in covariances)) - 2 * root.trace()
        assert frechet(a, b) == pytest.approx(expected, rel=1e-6)
        assert frechet(b, a) == pytest.approx(expected, rel=1e-6)

    def test_of_gaussians_with_common_axes(self) -> None:
        """|m - m'|^2 + sum (s - s')^2."""
        s, t = torch.tensor([1.0, 0.0, 2.0]).double(), torch.tensor([3.0, 0.5, 2.0]).double()
        a = exactly(torch.zeros(3).double(), s.diag(), seed=0)
        b = exactly(torch.ones(3).double(), t.diag(), seed=1)
        assert frechet(a, b) == pytest.approx(3 + 4 + 0.25)

    def test_is_torchmetrics(self) -> None:
        a, b = points(40, 5), 2 * points(60, 5, seed=1) + 0.3
        assert frechet(a, b) == pytest.approx(by_torchmetrics(b, a), rel=1e-5)

    def test_of_equals(self) -> None:
        a = points(10, 30)  # fewer points than dimensions
        assert frechet(a, a) == pytest.approx(0, abs=1e-6)
        assert frechet(a, a.flip(0)) == pytest.approx(0, abs=1e-6)
        assert precision_recall(a, a, 3) == (1, 1)
        repeated = a.repeat(4, 1)  # whose third neighbours are as far away as they are themselves
        assert precision_recall(repeated, repeated, 3) == (1, 1)

    def test_what_is_far_and_what_is_missing(self) -> None:
        a = points(50, 3)
        assert precision_recall(a, a + 100, 3) == (0, 0)
        both = torch.cat([a, a + 100])
        assert precision_recall(a, both, 3) == (1, 0.5), "half of the images have no samples"
        assert precision_recall(both, a, 3) == (0.5, 1)

    def test_manifolds_of_the_obvious_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aecore.evaluation.metrics.samples.distances._ROWS", 7)
        a, b = points(30, 2), 1.5 * points(41, 2, seed=1)

        def share(some: Tensor, others: Tensor) -> float:
            reach = [sorted((other - o).norm() for o in others)[3] for other in others]
            pairs = [(p, zip(others, reach, strict=True)) for p in some]
            return sum(any((p - o).norm() <= r for o, r in balls) for p, balls in pairs) / len(some)

        expected = (share(a, b), share(b, a))
        assert precision_recall(a, b, 3) == expected
        assert expected[0] != expected[1]


def halves(n: int, seed: int, side: int = 8) -> Split:
    """Noisy images that are bright above or below, or left; three classes."""
    x = 0.3 * images(n, 1, side, side, seed=seed)
    labels = torch.arange(n) % 3
    x[labels == 0, :, : side // 2] += 0.7
    x[labels == 1, :, side // 2 :] += 0.7
    x[labels == 2, :, :, : side // 2] += 0.7
    return Split(x, labels)


def alike() -> Split:
    """The same image with different labels."""
    return Split(torch.full((40, 1, 8, 8), 0.5), torch.arange(40) % 3)


def judge(**changes: Any) -> Frechet:
    values = {"images": 100, "neighbours": 3, "epochs": 2, "seed": 0}
    return Frechet(**(values | changes))


class TestFrechet:
    def test_classifier(self) -> None:
        split = halves(300, 0)
        state = torch.get_rng_state()
        found = trained_classifier(split, 10, 0, torch.device("cpu"))
        assert torch.equal(torch.get_rng_state(), state)
        test = halves(90, 1)
        assert float((found(test.images).argmax(1) == test.labels).float().mean()) > 0.95
        again = trained_classifier(split, 10, 0, torch.device("cpu"))
        assert torch.equal(found.extract(test.images), again.extract(test.images))
        other = trained_classifier(split, 10, 1, torch.device("cpu"))
        assert not torch.equal(found.extract(test.images), other.extract(test.images))

    def test_a_classifier_is_trained_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on = Trial(
            perfect(8), images=halves(60, 1), read_training=lambda: halves(150, 0), batch_size=70
        )
        on.model.decoder[1].weight *= 0.5
        plain = judge()(on)
        kept = replace(on, cache=tmp_path / "cache")
        state = torch.get_rng_state()
        assert judge()(kept) == plain, "bit for bit"
        (file,) = (tmp_path / "cache").iterdir()
        with monkeypatch.context() as patched:
            patched.setattr(
                "aecore.evaluation.metrics.samples.classifier_cache.trained_classifier", None
            )
            assert judge()(kept) == plain
        assert torch.equal(torch.get_rng_state(), state)
        whole = file.read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        for damaged in (whole[:1000], flipped, b""):
            file.write_bytes(damaged)
            assert judge()(kept) == plain, "trained again"
            assert file.read_bytes() == whole, "and kept again"
        nowhere = replace(on, cache=file / "below a file")
        assert judge()(nowhere) == plain

    def test_another_classifier_is_another_file(self, tmp_path: Path) -> None:
        one = halves(30, 0)
        assert one.labels is not None
        x, y = one.images.clone(), one.labels.clone()
        x[7, 0, 3, 3] += 0.01
        y[[0, 1]] = y[[1, 0]]
        cpu = torch.device("cpu")
        for split, epochs, seed in (
            (one, 1, 0), (one, 2, 0), (one, 1, 1), (Split(x, one.labels), 1, 0),
            (Split(one.images, y), 1, 0), (Split(one.images.view(30, 1, 4, 16), one.labels), 1, 0),
        ):  # fmt: skip
            count = len(list(tmp_path.iterdir()))
            cached_classifier(split, epochs, seed, cpu, tmp_path)
            assert len(list(tmp_path.iterdir())) == count + 1
            again = cached_classifier(split, epochs, seed, cpu, tmp_path)
            own = trained_classifier(split, epochs, seed, cpu)
            assert torch.equal(again.extract(split.images), own.extract(split.images))

    @pytest.mark.parametrize("shape", [(1, 2, 2), (3, 9, 5), (2, 64, 33)])
    def test_images_of_any_size(self, shape: tuple[int, int, int]) -> None:
        split = Split(images(6, *shape), torch.arange(6) % 2)
        found = trained_classifier(split, 1, 0, torch.device("cpu"))
        assert found.extract(split.images).shape == (6, FEATURES)
        assert torch.equal(found.extract(split.images - 2), found.extract(split.images * 0))

    def test_a_perfect_model_and_one_that_blurs(self) -> None:
        on = Trial(
            perfect(8), images=halves(100, 1), read_training=lambda: halves(300, 0), batch_size=70
        )
        found = judge()(on)
        assert set(found) == {"frechet_cnn_training", "frechet_cnn_reconstructions"}
        assert found["frechet_cnn_reconstructions"] == pytest.approx(0, abs=1e-4)
        on.model.decoder[1].weight *= 0.5
        worse = judge()(on)
        assert worse["frechet_cnn_reconstructions"] > 1
        assert worse["frechet_cnn_training"] == found["frechet_cnn_training"]
        assert judge()(replace(on, seed=1)).keys() == worse.keys()

    def test_samples(self) -> None:
        words: dict[str, Any] = {"latent": gaussian(3), "image_shape": (1, 8, 8)}
        whole = model(penalties={"kl": KL()}, **words).eval()
        on = Trial(whole, images=halves(40, 1), read_training=lambda: halves(90, 0), batch_size=17)
        found = judge()(on)
        assert found["frechet_cnn_samples"] > found["frechet_cnn_training"]
        assert found["precision_cnn"] < 0.5
        assert found == judge()(on), "bit for bit"
        assert [len(x) for x in samples(on)] == [17, 17, 6]

    @pytest.mark.parametrize("training", [halves(40, 0), alike()], ids=["halves", "alike"])
    def test_all_features_are_scaled_alike(self, training: Split) -> None:
        """To variance 1 over the training images, whatever set they are of; not if they have 0."""
        words: dict[str, Any] = {"latent": gaussian(3), "image_shape": (1, 8, 8)}
        whole = model(penalties={"kl": KL()}, **words).eval()
        test = halves(40, 1)
        on = Trial(whole, images=test, read_training=lambda: training)
        network = trained_classifier(training, 2, 0, torch.device("cpu"))
        made = whole.sample(40, gen())
        sets = {"reconstructions": whole.reconstruct(test.images), "samples": made}
        spread = network.extract(training.images).double().std(0)
        spread = spread.where(spread > 0, 1)
        scaled = {
            name: network.extract(x).double() / spread
            for name, x in (sets | {"training": training.images, "test": test.images}).items()
        }
        found = judge()(on)
        for name in ("reconstructions", "samples", "training"):
            expected = frechet(scaled[name], scaled["test"])
            assert found[f"frechet_cnn_{name}"] == pytest.approx(expected, rel=1e-5)
        shares = precision_recall(scaled["samples"], scaled["test"], 3)
        assert (found["precision_cnn"], found["recall_cnn"]) == shares

    def test_where_there_is_nothing_to_learn(self) -> None:
        few = Trial(perfect(8), images=halves(3, 1), read_training=lambda: halves(30, 0))
        with pytest.raises(SkippedError, match="3 neighbours of 3 test images"):
            judge()(few)
        with pytest.raises(SkippedError, match="no labels"):
            judge()(replace(few, read_training=lambda: Split(few.images.images)))
        with pytest.raises(SkippedError, match="table"):
            judge()(trial(model(image_shape=(1, 1, 6))))


class TestInception:
    def test_what_is_missing_is_named_with_its_mend(self, tmp_path: Path) -> None:
        for on, why in (
            (trial(), "pip install|no weights at .*get them from https"),
            (trial(model(image_shape=(2, 4, 4))), "1 or 3 channels"),
        ):
            given = str(tmp_path / "none.pth")
            with pytest.raises(SkippedError, match=why):
                Inception(images=5, weights=given)(on)

    @needs("inception")
    def test_a_file_is_no_code(self, tmp_path: Path) -> None:
        (tmp_path / "junk.pth").write_bytes(b"junk")
        with pytest.raises(SkippedError, match="holds no weights"):
            weights_file(str(tmp_path / "junk.pth"))

    @needs("inception")
    def test_is_the_distance_of_the_features_of_a_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of random weights, and of its first features alone, which take no time."""
        from torch_fidelity import feature_extractor_inceptionv3 as package

        kind = package.FeatureExtractorInceptionV3
        with monkeypatch.context() as patched:
            patched.setattr(package, "load_state_dict_from_url", lambda *_, **__: {})
            patched.setattr(kind, "load_state_dict", lambda *_: None)
            network = kind("random", ["64"])
        torch.save(network.state_dict(), tmp_path / "random.pth")
        monkeypatch.setattr("aecore.evaluation.metrics.samples.inception._FEATURES", 64)

        def seen(x: Tensor) -> Tensor:
            return network((255 * x.clamp(0, 1).expand(-1, 3, -1, -1)).byte())[0]

        words: dict[str, Any] = {"latent": gaussian(3), "image_shape": (1, 8, 8)}
        whole = model(penalties={"kl": KL()}, **words).eval()
        on = Trial(whole, images=halves(6, 1), batch_size=4)
        found = Inception(images=50, weights=str(tmp_path / "random.pth"))(on)
        test = on.images.images
        for name, x in (
            ("reconstructions", whole.reconstruct(test)), ("samples", torch.cat([*samples(on)]))
        ):  # fmt: skip
            expected = by_torchmetrics(seen(x), seen(test))
            assert found.pop(f"frechet_inception_{name}") == pytest.approx(expected, rel=1e-3)
        assert not found
