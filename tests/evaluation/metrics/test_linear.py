"""Metric words of linear codes and of the manifold of the images."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from sklearn.decomposition import PCA

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.identity import IdentityDistance, principal_space
from aecore.evaluation.metrics.manifold import NearestTraining
from aecore.evaluation.metrics.pca_error import PcaError
from aecore.evaluation.metrics.principal import principal_components
from helpers.models import images, linear, model, plain
from helpers.trials import solved, trial

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


class TestPrincipal:
    def test_components_of_batches_are_those_of_all(self) -> None:
        x = images(40, 1, 3, 4) + 100
        found, fitted = (
            principal_components(torch.split(x, 9)),
            PCA().fit(x.flatten(1).double().numpy()),
        )
        torch.testing.assert_close(found.mean, torch.from_numpy(fitted.mean_))
        expected = torch.from_numpy(fitted.explained_variance_) * 39 / 40
        torch.testing.assert_close(found.variances, expected)
        inner = (found.directions.T @ torch.from_numpy(fitted.components_.T)).abs()
        torch.testing.assert_close(inner, torch.eye(12).double(), atol=1e-6, rtol=0)
        assert found.rank == 12

    @pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 3)])
    @pytest.mark.parametrize("dim", [1, 5, 16])
    def test_floor_is_the_error_of_pca(self, dim: int, shape: tuple[int, int, int]) -> None:
        on = trial(model(image_shape=shape, latent=plain(dim)))
        fitted = PCA(dim).fit(on.training.images.flatten(1).numpy())
        rows = on.images.images.flatten(1).numpy()
        again = fitted.inverse_transform(fitted.transform(rows))
        expected = float(((again - rows) ** 2).mean())
        assert PcaError()(on) == {"pca_mse": pytest.approx(expected, rel=1e-4, abs=1e-9)}

    def test_floor_is_what_the_solved_model_reaches(self) -> None:
        on = solved(trial(model(network=linear(), latent=plain(4))))
        x = on.images.pixels()
        error = float((on.model.reconstruct(x) - x).square().mean())
        assert PcaError()(on)["pca_mse"] == pytest.approx(error, rel=1e-4)

    def test_more_components_than_images_differ_in(self) -> None:
        on = trial(model(latent=plain(14)))
        few = replace(on, read_training=lambda: Split(on.training.images[:4]))
        three = PCA(3).fit(few.training.images.flatten(1).double().numpy())
        rows = on.images.images.flatten(1).double().numpy()
        again = three.inverse_transform(three.transform(rows))
        assert PcaError()(few)["pca_mse"] == pytest.approx(float(((again - rows) ** 2).mean()))

    def test_large_images_are_left_out(self) -> None:
        with pytest.raises(SkippedError, match="images of 4225 pixels"):
            PcaError()(trial(model(image_shape=(1, 65, 65), network=linear())))


class TestIdentity:
    def test_known_distances(self) -> None:
        whole = model(network=linear(bias=False), latent=plain(16, bias=False))
        metric = IdentityDistance(explained=1.0)
        for factor, expected in ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5)):
            whole.latent.project[1].weight.copy_(torch.eye(16))
            whole.decoder[1].weight.copy_(factor * torch.eye(16))
            found = metric(trial(whole))
            assert found == {"identity_distance": pytest.approx(expected, abs=1e-6)}

    def test_is_on_the_space_of_the_images(self) -> None:
        """PCA of four dimensions is the identity on images that have no more."""
        space = torch.linalg.qr(images(16, 4))[0]
        flat = images(40, 4) @ space.T
        split = Split(flat.reshape(40, 1, 4, 4))
        on = trial(model(network=linear(), latent=plain(4)), images=split, training=split)
        found = IdentityDistance(explained=0.9999)(solved(on))["identity_distance"]
        assert found == pytest.approx(0, abs=1e-4)
        two = trial(model(network=linear(), latent=plain(2)), images=split, training=split)
        found = IdentityDistance(explained=1.0 - 1e-9)(solved(two))["identity_distance"]
        assert found == pytest.approx(math.sqrt(2 / 4), rel=1e-3)

    def test_the_fewest_components_that_explain_the_share(self) -> None:
        """Two directions of equal variance, of which one explains just half."""
        x = torch.zeros(4, 1, 2, 2)
        x[0, 0, 0, 0], x[1, 0, 0, 0], x[2, 0, 0, 1], x[3, 0, 0, 1] = 1, -1, 1, -1
        on = trial(model(image_shape=(1, 2, 2)), images=Split(x))
        for explained, count in ((0.5, 1), (0.6, 2), (1.0, 2)):
            assert principal_space(on, explained).shape == (4, count)

    def test_what_is_not_linear(self) -> None:
        with pytest.raises(SkippedError, match="it has Tanh"):
            IdentityDistance(explained=0.9)(trial())


class TestManifold:
    def test_distances_of_the_obvious_loop(self) -> None:
        on = trial()
        x, _ = on.sample(6).tensors()
        generator = on.generator()
        z = on.model.encode(x).mean
        eps_z = torch.empty_like(z).normal_(generator=generator)
        eps_x = torch.empty_like(x).normal_(generator=generator)
        made = {"code": on.model.decode(z + 0.3 * eps_z), "pixels": x + 0.3 * eps_x}
        found = NearestTraining(strength=0.3, images=6)(on)
        for name, pictures in made.items():
            near = [
                min(float((picture.clamp(0, 1) - t).norm()) for t in on.training.images)
                for picture in pictures
            ]
            expected = pytest.approx(sum(near) / 6, rel=1e-5)
            assert found[f"nearest_training_{name}"] == expected

    def test_images_that_were_trained_on_are_near(self) -> None:
        on = trial()
        on = on.on(on.training)
        found = NearestTraining(strength=1e-6, images=5)(on)
        assert found["nearest_training_pixels"] < 1e-4 < found["nearest_training_code"]

    def test_tables_have_no_pictures(self) -> None:
        with pytest.raises(SkippedError, match="table"):
            NearestTraining(strength=0.3, images=2)(trial(model(image_shape=(1, 1, 6))))
