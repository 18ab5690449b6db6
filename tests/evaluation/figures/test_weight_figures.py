"""TrialFigures of weights: kernels, weight products, and what draws them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from aecore.data.split import Split
from aecore.errors import SkippedError
from aecore.evaluation.figures.heat import (
    arranged,
    centred,
    colour_weights,
    enlarged,
    in_rows,
)
from aecore.evaluation.figures.kernels import Kernels
from aecore.evaluation.figures.scale import Scale
from aecore.evaluation.figures.weight_product import WeightProduct
from aecore.evaluation.metrics.identity import distance, principal_space, product
from aecore.evaluation.trial import Trial
from aecore.model.latents.deterministic import Spatial
from aecore.model.layers import dead_units, layers
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.training.optimizers.closed_form import ClosedForm
from helpers import models as making
from helpers.experiments import (
    convolutional,
    row,
    texts,
    title,
    trial_of,
    unpool,
)
from helpers.trials import perfect

pytestmark = pytest.mark.filterwarnings("error")


class TestHeat:
    def test_colours_of_known_numbers(self) -> None:
        values = torch.tensor([[[-2.0, 0.0, 2.0, float("nan")]]])
        blue, white, red, none = Scale(2.0).colours(values)[0, :, 0].T
        assert blue[2] > 0.3 > blue[0]
        assert red[0] > 0.3 > red[2]
        assert float(white.min()) > 0.95
        assert none.tolist() == pytest.approx([0.9, 0.9, 0.9])
        dark, bright = Scale(2.0, signed=False).colours(torch.tensor([[[0.0, 2.0]]]))[0, :, 0].T
        assert float(dark.mean()) < 0.35 < float(bright.mean())

    def test_weights_of_three_channels_are_rgb_around_grey(self) -> None:
        weights = torch.tensor([-1.0, 0.0, 0.5]).view(1, 3, 1, 1)
        assert colour_weights(weights, Scale(1.0)).flatten().tolist() == [0.0, 0.5, 0.75]

    @pytest.mark.parametrize(("size", "found"), [((3, 3), 9), ((10, 5), 10), ((40, 20), 10)])
    def test_enlarged_by_whole_numbers(self, size: tuple[int, int], found: int) -> None:
        x = making.images(2, 1, *size)
        big = enlarged(x, 10)
        assert max(big.shape[2:]) == found
        if found == 9:
            assert torch.equal(big[:, :1, 1::3, 1::3], x)
        assert centred(x, 10).shape == (2, 3, 10, 10)

    def test_rows_are_filled_with_white(self) -> None:
        rows = in_rows(0.5 * making.images(5, 3, 2, 2), 3)
        assert [len(part) for part in rows] == [3, 3]
        assert bool((rows[1][2] == 1).all())
        assert bool((rows[1][:2] < 1).all())

    def test_vector_is_nearly_square(self) -> None:
        picture = arranged(torch.arange(5.0))
        assert picture.shape == (2, 3)
        assert picture.flatten()[:5].tolist() == [0, 1, 2, 3, 4]
        assert picture.flatten()[5].isnan()

    def test_maps_stand_side_by_side(self) -> None:
        maps = making.images(3, 2, 2)
        picture = arranged(maps)
        assert picture.shape == (5, 5)
        assert torch.equal(picture[:2, 3:], maps[1])
        assert torch.equal(picture[3:, :2], maps[2])
        assert bool(picture[2].isnan().all())
        assert bool(picture[:, 2].isnan().all())


class TestLayers:
    def test_outputs_are_those_after_the_activation(self) -> None:
        trial = trial_of()
        found = layers(trial.model, trial.images.images)
        assert [layer.side for layer in found] == ["encoder", "latent", "decoder", "decoder"]
        weight = found[0].module
        assert isinstance(weight, nn.Linear)
        with torch.no_grad():
            expected = weight(trial.images.images.flatten(1)).tanh()
            torch.testing.assert_close(found[0].output, expected)
            torch.testing.assert_close(
                found[-1].output.reshape(trial.images.images.shape),
                trial.model.reconstruct(trial.images.images),
            )

    def test_nothing_is_left_on_the_model(self) -> None:
        trial = trial_of()
        layers(trial.model, trial.images.images)
        assert not any(part._forward_hooks for part in trial.model.modules())

    def test_dead_units_never_change_over_all_batches(self) -> None:
        one = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0]])
        other = torch.tensor([[0.0, 1.0, 3.0]])
        assert dead_units(iter([one, other])).tolist() == [True, False, True]
        maps = torch.zeros(2, 2, 3, 3)
        maps[0, 1, 2, 2] = 1
        assert dead_units(iter([maps])).tolist() == [True, False]


class TestKernels:
    def test_encoder_rows_and_decoder_columns(self) -> None:
        trial = trial_of()
        first, last = trial.model.encoder[1], trial.model.decoder[3]  # type: ignore[index]
        for side, weights in (("encoder", first.weight), ("decoder", last.weight.T)):
            figure = Kernels(side=side, count=6, columns=6)(trial)  # type: ignore[arg-type]
            images = weights.detach().reshape(6, 1, 4, 4)
            expected = enlarged(colour_weights(images, Scale(float(weights.detach().abs().max()))))
            torch.testing.assert_close(row(figure.axes[0], 6), expected, atol=1e-6, rtol=0)
            assert title(figure).endswith("layer: 6 units, 0 dead")

    def test_filters_of_convolutions(self) -> None:
        trial = convolutional()
        first, last = trial.model.encoder[0].weight, trial.model.decoder[0].weight  # type: ignore[index]
        for side, weights in (("encoder", first), ("decoder", last)):
            figure = Kernels(side=side, count=9, columns=9)(trial)  # type: ignore[arg-type]
            images = weights.detach()
            assert images.shape == (4, 1, 3, 3)
            expected = enlarged(colour_weights(images, Scale(float(images.abs().max()))))
            torch.testing.assert_close(row(figure.axes[0], 4), expected, atol=1e-6, rtol=0)

    def test_dead_units_are_counted_and_marked(self) -> None:
        trial = trial_of(network=making.mlp(6, activation="relu"))
        layer = trial.model.encoder[1]  # type: ignore[index]
        with torch.no_grad():
            layer.bias.fill_(5.0)
            layer.bias[1] = layer.bias[5] = -100.0
        figure = Kernels(side="encoder", count=4, columns=2)(trial)
        assert title(figure) == "First layer: 6 units, 4 shown, 2 dead"
        assert [texts(axes) for axes in figure.axes[:2]] == [[" ", "dead"], [" ", " "]]
        assert len(figure.axes) == 3  # and the colour scale

    def test_colours_have_one_symmetric_scale(self) -> None:
        trial = trial_of()
        bar = Kernels(side="encoder", count=6, columns=3)(trial).axes[-1]
        low, high = bar.get_ylim()
        limit = float(trial.model.encoder[1].weight.detach().abs().max())  # type: ignore[index]
        assert (low, high) == (pytest.approx(-limit), pytest.approx(limit))

    def test_colour_weights_say_their_scale(self) -> None:
        trial = trial_of(9, (3, 4, 4))
        figure = Kernels(side="encoder", count=6, columns=6)(trial)
        limit = float(trial.model.encoder[1].weight.detach().abs().max())  # type: ignore[index]
        assert title(figure).endswith(f"grey is 0, full colour {limit:.2g}")
        assert len(figure.axes) == 1

    def test_linear_networks_have_their_first_matrix_in_the_latent(self) -> None:
        trial = trial_of(network=making.linear())
        assert title(Kernels(side="encoder", count=9, columns=9)(trial)) == (
            "First layer: 3 units, 0 dead"
        )


class TestWeightProduct:
    @pytest.mark.parametrize("network", [making.linear(), making.mlp(6, activation=None)])
    def test_is_decoder_times_encoder(self, network: object) -> None:
        trial = trial_of(network=network)
        matrix = torch.eye(16)
        for side in (trial.model.encoder, trial.model.latent, trial.model.decoder):
            for part in side.modules():
                if isinstance(part, nn.Linear):
                    matrix = part.weight.detach() @ matrix
        with torch.no_grad():
            torch.testing.assert_close(product(trial.model), matrix, atol=1e-5, rtol=1e-4)
        figure = WeightProduct(explained=0.999)(trial)
        drawn = torch.as_tensor(np.asarray(figure.axes[0].images[0].get_array()))
        torch.testing.assert_close(drawn, matrix, atol=1e-5, rtol=1e-4)

    def test_a_standardised_convolution_without_activation_is_linear(self) -> None:
        shift, scale = torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.3)
        network = making.conv(4, activation=None)
        latent = Spatial(channels=None, activation=None)
        trial = trial_of(9, (1, 4, 4), network=network, latent=latent, shift=shift, scale=scale)
        with torch.no_grad():
            matrix = product(trial.model)
            x, y = trial.model.normalise(trial.images.images[:2]).flatten(1)
            out = trial.model.normalise(trial.model.reconstruct(trial.images.images[:2])).flatten(1)
        torch.testing.assert_close(matrix @ (x - y), out[0] - out[1], atol=1e-5, rtol=1e-4)

    def test_distance_of_known_matrices(self) -> None:
        v = torch.linalg.qr(making.images(6, 3).double())[0]
        assert distance(torch.eye(6), v) == 0
        assert distance(torch.zeros(6, 6), v) == pytest.approx(1)
        half = (v[:, :1] @ v[:, :1].T + v[:, 1:2] @ v[:, 1:2].T).float()
        assert distance(half, v) == pytest.approx((1 / 3) ** 0.5, rel=1e-5)

    def test_principal_space_explains_the_share(self) -> None:
        rows = torch.zeros(6, 4)
        for column, value in enumerate((10.0, 3.0, 1.0)):  # variances 200, 18, 2
            rows[2 * column, column], rows[2 * column + 1, column] = value, -value
        x = rows.reshape(6, 1, 2, 2)
        for explained, count in ((0.9, 1), (0.95, 2), (0.999, 3), (0.0, 1)):
            space = principal_space(Trial(perfect(), Split(x), batch_size=4), explained)
            assert space.shape == (4, count)
            torch.testing.assert_close(space.abs(), torch.eye(4).double()[:, :count])
        with pytest.raises(SkippedError, match="do not differ"):
            principal_space(Trial(perfect(), Split(torch.ones(3, 1, 2, 2))), 0.9)

    def test_principal_component_analysis_is_near_on_its_own_space(self) -> None:
        x = making.images(60, 1, 4, 4)
        trial = replace(trial_of(network=making.linear(), latent=making.plain(16)), images=Split(x))
        ClosedForm().solve(trial.model, x, 0)
        (axes, _) = WeightProduct(explained=1.0)(trial).axes
        assert "0.000 from the identity" in axes.get_title(loc="left")

    def test_reasons(self) -> None:
        figure = WeightProduct(explained=0.999)
        with pytest.raises(SkippedError, match="it has Tanh"):
            figure(trial_of())
        with pytest.raises(SkippedError, match="it has ReLU"):
            figure(trial_of(network=making.linear(), latent=making.plain(3, activation="relu")))
        logits = Bernoulli(targets="soft", threshold=0.5)
        with pytest.raises(SkippedError, match="not what its reconstruction makes"):
            figure(trial_of(network=making.linear(), reconstruction=logits))
        with pytest.raises(SkippedError, match="pools maxima"):
            figure(trial_of(network=unpool(activation=None)))
        with pytest.raises(SkippedError, match="too large"):
            figure(trial_of(2, (1, 80, 80), network=making.linear()))
