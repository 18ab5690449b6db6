"""Metric words, each against a slow obvious version or a known answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from pydantic import ValidationError
from torch import Tensor

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.metrics.activity import Activity
from aecore.evaluation.metrics.compression import Compression, pixel_bits, quantise
from aecore.evaluation.metrics.jacobian import JacobianNorm
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from helpers.evaluation import every_metric
from helpers.experiments import unpool
from helpers.models import gaussian, images, linear, mlp, model, plain
from helpers.trials import solved, trial

pytestmark = pytest.mark.filterwarnings("error")


def relu_code(bias: list[float]) -> Autoencoder:
    """A code of relu(bias), whatever the image."""
    whole = model(network=linear(), latent=plain(len(bias), activation="relu"))
    with torch.no_grad():
        whole.latent.project[1].weight.zero_()
        whole.latent.project[1].bias.copy_(torch.tensor(bias))
    return whole


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


class TestTrial:
    def test_batches_are_the_images_in_order(self) -> None:
        one = trial()
        parts = [x for x, _ in one.batches()]
        assert [len(part) for part in parts] == [7, 7, 7, 2]
        assert torch.equal(torch.cat(parts), one.images.images)
        assert [len(x) for x, _ in one.batches(20)] == [20, 3]

    def test_a_sample_is_of_different_images_and_the_same_again(self) -> None:
        one = trial()
        some, labels = one.sample(5).tensors()
        assert labels is None and torch.equal(some, one.sample(5).tensors()[0])
        assert not torch.equal(some, replace(one, seed=1).sample(5).tensors()[0])
        where = [int((one.images.images == x).flatten(1).all(1).nonzero()) for x in some]
        assert len(set(where)) == 5
        assert len(one.sample(99)) == 23

    def test_at_most_keeps_the_order_of_few_images(self) -> None:
        one = trial()
        assert one.at_most(None) is one and one.at_most(23) is one
        assert torch.equal(one.at_most(5).tensors()[0], one.sample(5).tensors()[0])

    def test_bytes_become_pixels(self) -> None:
        one = trial(images=Split(torch.full((3, 1, 4, 4), 51, dtype=torch.uint8)))
        ((part, _),) = one.batches()
        assert part.unique().tolist() == pytest.approx([0.2])

    def test_codes_and_reconstructions_are_those_of_all_images(self) -> None:
        one = trial()
        x, _ = one.tensors()
        torch.testing.assert_close(one.codes(), one.model.encode(x).mean)
        torch.testing.assert_close(one.reconstructions(), one.model.reconstruct(x))

    def test_without_training_images(self) -> None:
        with pytest.raises(SkippedError, match="not available"):
            _ = Trial(model().eval(), Split(images(3, 1, 4, 4))).training


def active(code: float = 1e-6, hidden: float = 0.01) -> Activity:
    return Activity(code_threshold=code, hidden_threshold=hidden)


class TestActivity:
    def test_code_of_known_numbers(self) -> None:
        on = trial(relu_code([0.5, -3.0, 0.0, 1.5]))
        found = active()(on)
        assert found["activity/code"] == found["activity/code_mean"] == 0.5
        assert active(code=1.0)(on)["activity/code"] == 0.25

    def test_negative_numbers_are_active(self) -> None:
        on = trial()
        z = on.model.encode(on.images.pixels()).mean
        found = active(code=0.1)(on)
        assert bool((z < -0.1).any())
        assert found["activity/code"] == pytest.approx(float((z.abs() > 0.1).float().mean()))
        assert found["activity/code_mean"] == pytest.approx(float(z.abs().mean()), rel=1e-5)

    def test_hidden_layers_count_by_their_width(self) -> None:
        whole = model(network=mlp(5, 3, activation="relu"), latent=plain(2))
        on = trial(whole)
        x = on.images.pixels()
        first = whole.encoder[1](x.flatten(1)).relu()
        second = whole.encoder[3](first).relu()
        z = whole.latent.project[1](second)
        third = whole.decoder[1](z).relu()
        fourth = whole.decoder[3](third).relu()
        values = torch.cat([first, second, z, third, fourth], 1)
        for threshold in (0.0, 0.1):
            found = active(hidden=threshold)(on)
            expected = float((values.abs() <= threshold).double().mean())
            assert found["activity/hidden_inactive"] == pytest.approx(expected)
            assert 0 < expected < 1

    def test_without_hidden_layers_there_is_the_code(self) -> None:
        found = active(hidden=0.0)(trial(relu_code([1.0, -1.0, -2.0, -3.0])))
        assert found["activity/hidden_inactive"] == 0.75

    def dead_units(self, **values: Any) -> float:
        return active()(trial(**values))["activity/dead_units"]

    def test_dead_units_of_the_first_layer(self) -> None:
        whole = model(network=mlp(6, activation="relu"))
        whole.encoder[1].bias.fill_(5.0)
        assert self.dead_units(whole=whole) == 0
        whole.encoder[1].bias[1] = whole.encoder[1].bias[4] = -100.0
        assert self.dead_units(whole=whole) == 2

    def test_a_unit_that_one_batch_of_many_changes_is_not_dead(self) -> None:
        whole = model(network=mlp(2, activation="relu"))
        layer = whole.encoder[1]
        layer.weight.zero_()
        layer.weight[:, 0] = 1.0
        layer.bias.copy_(torch.tensor([0.0, -1.5]))
        x = images(23, 1, 4, 4)
        assert self.dead_units(whole=whole, images=Split(x)) == 1
        x[22, 0, 0, 0] = 2.0
        assert self.dead_units(whole=whole, images=Split(x)) == 0


class TestJacobian:
    @pytest.mark.parametrize("latent", [plain(3), gaussian(3)])
    def test_is_the_mean_of_autograds(self, latent: Any) -> None:
        on = trial(model(latent=latent))
        found = JacobianNorm(images=23, method="exact", samples=1)(on)
        norms = []
        for x in on.images.images:
            rows = torch.autograd.functional.jacobian(
                lambda pixels: on.model.encode(pixels[None]).mean[0], x
            )
            norms.append(float(rows.norm()))
        assert found == {"jacobian_norm": pytest.approx(sum(norms) / 23, rel=1e-4)}

    def test_estimate_of_a_few_images(self) -> None:
        on = trial()
        exact = JacobianNorm(images=9, method="exact", samples=1)(on)["jacobian_norm"]
        near = JacobianNorm(images=9, method="estimate", samples=500)(on)["jacobian_norm"]
        assert near == pytest.approx(exact, rel=0.05)
        assert near != exact


class TestCompression:
    def test_bits(self) -> None:
        on = trial(images=Split(torch.full((3, 1, 4, 4), 7, dtype=torch.uint8)))
        found = Compression(bits=4)(on)
        assert found["bits_per_image"] == 16 * 8
        assert found["bits_per_code"] == 3 * 32
        assert found["compression"] == pytest.approx(128 / 96)
        assert found["quantised_compression"] == pytest.approx(128 / 12)

    @pytest.mark.parametrize(
        ("values", "bits"),
        [
            (torch.tensor([0, 255], dtype=torch.uint8), 1),
            (torch.tensor([0, 1], dtype=torch.uint8), 8),
            (torch.tensor([0.0, 1.0]), 1),
            (torch.tensor([0.0, 0.5]), 8),
        ],
    )
    def test_pixels_take_as_many_bits(self, values: Tensor, bits: int) -> None:
        assert pixel_bits(Split(values.repeat(3).reshape(3, 1, 1, 2).repeat(1, 1, 2, 1))) == bits

    def test_tables_hold_numbers(self) -> None:
        assert pixel_bits(Split(images(3, 1, 1, 6))) == 32
        assert pixel_bits(Split(torch.ones(3, 1, 1, 6))) == 1

    def test_levels(self) -> None:
        low, high = torch.tensor([0.0, -1.0, 2.0]), torch.tensor([3.0, 1.0, 2.0])
        z = torch.tensor([[0.4, -0.9, 2.5], [1.6, 0.001, 1.0], [9.0, -9.0, 2.0]])
        # steps of 1 and 2/3; a constant has one level
        expected = torch.tensor([[0.0, -1.0, 2.0], [2.0, 1 / 3, 2.0], [3.0, -1.0, 2.0]])
        torch.testing.assert_close(quantise(z, low, high, 2), expected)

    def test_range_is_that_of_the_training_codes(self) -> None:
        on = trial()
        codes = on.model.encode(on.training.pixels()).mean
        z, x = on.model.encode(on.images.pixels()).mean, on.images.pixels()
        low, high = codes.min(0).values, codes.max(0).values
        step = (high - low) / 7
        held = low + ((torch.minimum(torch.maximum(z, low), high) - low) / step).round() * step
        error = float((on.model.decode(held) - x).square().mean())
        found = Compression(bits=3)(on)["quantised_mse"]
        assert found == pytest.approx(error, rel=1e-5)

    def test_many_bits_lose_nothing_few_do(self) -> None:
        on = trial()
        on = solved(replace(on, model=model(network=linear(), latent=plain(12)).eval()))
        on = on.on(on.training)
        x = on.images.pixels()
        error = float((on.model.reconstruct(x) - x).square().mean())
        found = [Compression(bits=bits)(on)["quantised_mse"] for bits in (1, 2, 4, 16)]
        assert found == sorted(found, reverse=True)
        assert found[-1] == pytest.approx(error, rel=1e-4)
        assert found[0] > 2 * error

    def test_bounds(self) -> None:
        for bits in (1, 16):
            Compression(bits=bits)
        for bits in (0, 17):
            with pytest.raises(ValidationError, match="bits"):
                Compression(bits=bits)

    def test_what_passes_by_the_code(self) -> None:
        with pytest.raises(SkippedError, match="places of the maxima"):
            Compression(bits=8)(trial(model(network=unpool())))


LARGER = {
    "ap_*", "auroc_*", "compression", "quantised_compression", "mig", "modularity", "sap",
    "dci_completeness", "dci_disentanglement", "dci_informativeness", "factor_vae_score",
    "knn_accuracy", "logistic_accuracy", "precision_cnn", "recall_cnn",
}  # fmt: skip
SMALLER = {
    "activity/dead_units", "bits_per_dim", "frechet_cnn_reconstructions", "frechet_cnn_samples",
    "frechet_inception_*", "identity_distance", "nll", "quantised_mse",
}  # fmt: skip


def test_which_side_of_a_value_is_better() -> None:
    """By which runs are marked as the best; what only describes a model has no better side."""
    kinds = [get_class(node["_target_"]) for node in every_metric().values()]
    known = {key: told for kind in kinds for key, told in kind.reports.items()}
    sides = {True: LARGER, False: SMALLER}
    for side, keys in sides.items():
        assert {k for k, told in known.items() if told.higher_is_better is side} >= keys
