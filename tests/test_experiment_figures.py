"""Figures of weights, codes and errors: what is drawn is what the model does, for every variant."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import making
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from aecore.build import build
from aecore.compose import compose, parse
from aecore.experiment import words
from aecore.figures import (
    Animation,
    CodeCorrelation,
    CodeNoise,
    Codes,
    ErrorDistribution,
    FeatureMaps,
    HiddenActivity,
    InterpolationGif,
    Jacobian,
    Kernels,
    NotApplicable,
    Picture,
    Robustness,
    Traversals,
    View,
    WeightProduct,
    draw,
)
from aecore.figures.code_correlation import correlation
from aecore.figures.code_noise import nearest
from aecore.figures.dimensions import dimensions
from aecore.figures.error_distribution import auroc
from aecore.figures.heat import arranged, centred, colour_weights, colours, enlarged, in_rows
from aecore.figures.interpolation_gif import pairs
from aecore.figures.layers import dead_units, layers
from aecore.figures.traversals import moved
from aecore.figures.view import spread
from aecore.figures.weight_product import distance, principal_space, product
from aecore.latents import Spatial
from aecore.networks import ConvUnpool
from aecore.optimizers import ClosedForm
from aecore.reconstruction import Bernoulli
from aecore.roots import CONF
from aecore.tasks.train import prepare

WORDS = (
    "code_correlation", "code_noise", "codes", "error_distribution", "feature_maps",
    "hidden_activity", "interpolation_gif", "jacobian", "kernels", "robustness", "traversals",
    "weight_product",
)  # fmt: skip
NODES = {
    name: yaml.safe_load((CONF / "figures" / f"{name}.yaml").read_text())[name] for name in WORDS
}
VARIANTS = [[f"model={path.stem}"] for path in sorted((CONF / "model").glob("*.yaml"))]
ROBUST = {"kind": "gaussian", "largest": 1.0, "levels": 3, "images": 40}


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def view_of(n: int = 40, shape: tuple[int, int, int] = (1, 4, 4), **changes: object) -> View:
    """A model of untrained words that looks at random images of three classes."""
    model = making.model(image_shape=shape, **changes).eval()
    return View(model, making.images(n, *shape), torch.arange(n) % 3)


def unpool(**changes: object) -> ConvUnpool:
    values = {
        "channels": [4],
        "kernel_size": 3,
        "up": "conv",
        "activation": "relu",
        "output_activation": None,
        "bias": True,
    }
    return ConvUnpool(**(values | changes))  # type: ignore[arg-type]


def convolutional(**changes: object) -> View:
    spatial = Spatial(channels=None, activation=None)
    return view_of(20, (1, 8, 8), network=making.conv(4), latent=spatial, **changes)


def row(axes: Axes, count: int) -> Tensor:
    """The images of a row as they were drawn, (count, 3, H, W) without the gaps."""
    drawn = torch.as_tensor(np.asarray(axes.images[0].get_array())).permute(2, 0, 1)
    height, total = drawn.shape[1:]
    gap = (total - count * height) // (count - 1)
    return torch.stack([drawn[:, :, n * (height + gap) :][:, :, :height] for n in range(count)])


def title(figure: Figure) -> str:
    return figure.texts[0].get_text()


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


class TestHeat:
    def test_colours_of_known_numbers(self) -> None:
        values = torch.tensor([[[-2.0, 0.0, 2.0, float("nan")]]])
        blue, white, red, none = colours(values, 2.0, signed=True)[0, :, 0].T
        assert blue[2] > 0.3 > blue[0]
        assert red[0] > 0.3 > red[2]
        assert float(white.min()) > 0.95
        assert none.tolist() == pytest.approx([0.9, 0.9, 0.9])
        dark, bright = colours(torch.tensor([[[0.0, 2.0]]]), 2.0, signed=False)[0, :, 0].T
        assert float(dark.mean()) < 0.35 < float(bright.mean())

    def test_weights_of_three_channels_are_rgb_around_grey(self) -> None:
        weights = torch.tensor([-1.0, 0.0, 0.5]).view(1, 3, 1, 1)
        assert colour_weights(weights, 1.0).flatten().tolist() == [0.0, 0.5, 0.75]

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
        view = view_of()
        found = layers(view.model, view.images)
        assert [layer.side for layer in found] == ["encoder", "latent", "decoder", "decoder"]
        weight = found[0].module
        assert isinstance(weight, nn.Linear)
        with torch.no_grad():
            expected = weight(view.images.flatten(1)).tanh()
            torch.testing.assert_close(found[0].output, expected)
            torch.testing.assert_close(
                found[-1].output.reshape(view.images.shape), view.model.reconstruct(view.images)
            )

    def test_nothing_is_left_on_the_model(self) -> None:
        view = view_of()
        layers(view.model, view.images)
        assert not any(part._forward_hooks for part in view.model.modules())

    def test_dead_units_never_change_over_all_batches(self) -> None:
        one = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0]])
        other = torch.tensor([[0.0, 1.0, 3.0]])
        assert dead_units(iter([one, other])).tolist() == [True, False, True]
        maps = torch.zeros(2, 2, 3, 3)
        maps[0, 1, 2, 2] = 1
        assert dead_units(iter([maps])).tolist() == [True, False]


class TestKernels:
    def test_encoder_rows_and_decoder_columns(self) -> None:
        view = view_of()
        first, last = view.model.encoder[1], view.model.decoder[3]  # type: ignore[index]
        for side, weights in (("encoder", first.weight), ("decoder", last.weight.T)):
            figure = Kernels(side=side, count=6, columns=6)(view)  # type: ignore[arg-type]
            images = weights.detach().reshape(6, 1, 4, 4)
            expected = enlarged(colour_weights(images, float(weights.detach().abs().max())))
            torch.testing.assert_close(row(figure.axes[0], 6), expected, atol=1e-6, rtol=0)
            assert title(figure).endswith("layer: 6 units, 0 dead")

    def test_filters_of_convolutions(self) -> None:
        view = convolutional()
        first, last = view.model.encoder[0].weight, view.model.decoder[0].weight  # type: ignore[index]
        for side, weights in (("encoder", first), ("decoder", last)):
            figure = Kernels(side=side, count=9, columns=9)(view)  # type: ignore[arg-type]
            images = weights.detach()
            assert images.shape == (4, 1, 3, 3)
            expected = enlarged(colour_weights(images, float(images.abs().max())))
            torch.testing.assert_close(row(figure.axes[0], 4), expected, atol=1e-6, rtol=0)

    def test_dead_units_are_counted_and_marked(self) -> None:
        view = view_of(network=making.mlp(6, activation="relu"))
        layer = view.model.encoder[1]  # type: ignore[index]
        with torch.no_grad():
            layer.bias.fill_(5.0)
            layer.bias[1] = layer.bias[5] = -100.0
        figure = Kernels(side="encoder", count=4, columns=2)(view)
        assert title(figure) == "First layer: 6 units, 4 shown, 2 dead"
        assert [texts(axes) for axes in figure.axes[:2]] == [[" ", "dead"], [" ", " "]]
        assert len(figure.axes) == 3  # and the colour scale

    def test_colours_have_one_symmetric_scale(self) -> None:
        view = view_of()
        bar = Kernels(side="encoder", count=6, columns=3)(view).axes[-1]
        low, high = bar.get_ylim()
        limit = float(view.model.encoder[1].weight.detach().abs().max())  # type: ignore[index]
        assert (low, high) == (pytest.approx(-limit), pytest.approx(limit))

    def test_colour_weights_say_their_scale(self) -> None:
        view = view_of(9, (3, 4, 4))
        figure = Kernels(side="encoder", count=6, columns=6)(view)
        limit = float(view.model.encoder[1].weight.detach().abs().max())  # type: ignore[index]
        assert title(figure).endswith(f"grey is 0, full colour {limit:.2g}")
        assert len(figure.axes) == 1

    def test_linear_networks_have_their_first_matrix_in_the_latent(self) -> None:
        view = view_of(network=making.linear())
        assert title(Kernels(side="encoder", count=9, columns=9)(view)) == (
            "First layer: 3 units, 0 dead"
        )


class TestWeightProduct:
    @pytest.mark.parametrize("network", [making.linear(), making.mlp(6, activation=None)])
    def test_is_decoder_times_encoder(self, network: object) -> None:
        view = view_of(network=network)
        matrix = torch.eye(16)
        for side in (view.model.encoder, view.model.latent, view.model.decoder):
            for part in side.modules():
                if isinstance(part, nn.Linear):
                    matrix = part.weight.detach() @ matrix
        with torch.no_grad():
            torch.testing.assert_close(product(view.model), matrix, atol=1e-5, rtol=1e-4)
        figure = WeightProduct(explained=0.999)(view)
        drawn = torch.as_tensor(np.asarray(figure.axes[0].images[0].get_array()))
        torch.testing.assert_close(drawn, matrix, atol=1e-5, rtol=1e-4)

    def test_a_standardised_convolution_without_activation_is_linear(self) -> None:
        shift, scale = torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.3)
        network = making.conv(4, activation=None)
        latent = Spatial(channels=None, activation=None)
        view = view_of(9, (1, 4, 4), network=network, latent=latent, shift=shift, scale=scale)
        with torch.no_grad():
            matrix = product(view.model)
            x, y = view.model.normalise(view.images[:2]).flatten(1)
            out = view.model.normalise(view.model.reconstruct(view.images[:2])).flatten(1)
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
            space = principal_space(x, explained)
            assert space.shape == (4, count)
            torch.testing.assert_close(space.abs(), torch.eye(4).double()[:, :count])
        with pytest.raises(NotApplicable, match="do not differ"):
            principal_space(torch.ones(3, 1, 2, 2), 0.9)

    def test_principal_component_analysis_is_near_on_its_own_space(self) -> None:
        x = making.images(60, 1, 4, 4)
        view = replace(view_of(network=making.linear(), latent=making.plain(16)), images=x)
        ClosedForm().solve(view.model, x, 0)
        assert "0.000 from the identity" in title(WeightProduct(explained=1.0)(view))

    def test_reasons(self) -> None:
        figure = WeightProduct(explained=0.999)
        with pytest.raises(NotApplicable, match="it has Tanh"):
            figure(view_of())
        with pytest.raises(NotApplicable, match="it has ReLU"):
            figure(view_of(network=making.linear(), latent=making.plain(3, activation="relu")))
        logits = Bernoulli(targets="soft", threshold=0.5)
        with pytest.raises(NotApplicable, match="not what its reconstruction makes"):
            figure(view_of(network=making.linear(), reconstruction=logits))
        with pytest.raises(NotApplicable, match="pools maxima"):
            figure(view_of(network=unpool(activation=None)))
        with pytest.raises(NotApplicable, match="too large"):
            figure(view_of(2, (1, 80, 80), network=making.linear()))


class TestTraversals:
    def test_dimensions_are_ordered_by_kl_or_variance(self) -> None:
        view = view_of(latent=making.gaussian(4))
        with torch.no_grad():
            found, code = dimensions(view), view.model.encode(view.images)
        assert code.posterior is not None
        kl = code.posterior.kl_standard_normal().mean(0)
        assert found.order.tolist() == kl.argsort(descending=True).tolist()
        plain = view_of(latent=making.plain(4))
        with torch.no_grad():
            found, codes = dimensions(plain), plain.codes(plain.images)
        order = np.argsort(-codes.numpy().var(0))
        assert (found.kind, found.order.tolist()) == ("variance", order.tolist())

    def test_rows_are_decoded_codes(self) -> None:
        view = view_of(latent=making.gaussian(4))
        figure = Traversals(dims=2, steps=5, reach=2.0, start="zero")(view)
        assert len(figure.axes) == 2
        with torch.no_grad():
            order = dimensions(view).order
            for axes, d in zip(figure.axes, order.tolist(), strict=False):
                z = torch.zeros(5, 4)
                z[:, d] = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
                expected = view.model.decode(z).clamp(0, 1)
                torch.testing.assert_close(row(axes, 5)[:, :1], expected, atol=1e-6, rtol=0)
                assert texts(axes)[0].startswith(f"z{d + 1} ")
        assert texts(figure.axes[0])[1:] == ["-2", "-1", "0", "1", "2"]

    def test_around_an_image_by_the_spread_of_the_codes(self) -> None:
        view = view_of()
        figure = Traversals(dims=1, steps=3, reach=1.0, start="image")(view)
        with torch.no_grad():
            codes = view.codes(view.images)
            d = int(codes.var(0).argmax())
            mean, std = codes[:, d].mean(), codes[:, d].std(correction=0)
            values = torch.stack([mean - std, mean, mean + std])
            fits = [
                torch.allclose(
                    view.model.decode(moved(code, d, values)).clamp(0, 1),
                    row(figure.axes[0], 3)[:, :1],
                    atol=1e-5,
                )
                for code in codes
            ]
        assert sum(fits) == 1, "the others stay those of one test image"

    def test_correlation_is_that_of_numpy(self) -> None:
        codes = making.images(30, 4) @ making.images(4, 4, seed=1)
        expected = torch.as_tensor(np.corrcoef(codes.numpy().T)).float()
        torch.testing.assert_close(correlation(codes, 0.0), expected, atol=1e-5, rtol=0)
        codes[:, 2] = 7.0
        matrix = correlation(codes, 0.0)
        assert bool(matrix[2].isnan().all())
        assert not matrix[[0, 1, 3]][:, [0, 1, 3]].isnan().any()
        codes[:, 1] *= 1e-3
        assert bool(correlation(codes, 0.01)[1].isnan().all())

    def test_correlation_figure(self) -> None:
        view = view_of(latent=making.plain(4))
        figure = CodeCorrelation(dims=3)(view)
        with torch.no_grad():
            codes = view.codes(view.images)[:, dimensions(view).order[:3]]
        drawn = np.asarray(figure.axes[0].images[0].get_array())
        np.testing.assert_allclose(drawn, np.corrcoef(codes.numpy().T), atol=1e-5)
        apart = np.abs(drawn[~np.eye(3, dtype=bool)]).mean()
        assert title(figure).startswith("Correlation of 3 of 4")
        assert title(figure).endswith(f"{apart:.2f}")
        with pytest.raises(NotApplicable, match="one dimension"):
            CodeCorrelation(dims=3)(view_of(latent=making.plain(1)))
        with pytest.raises(NotApplicable, match="only one image"):
            CodeCorrelation(dims=3)(view_of(1))


class TestAnimation:
    def figure(self, **changes: int) -> InterpolationGif:
        values = {"rows": 2, "columns": 3, "steps": 4, "side": 4, "duration": 50}
        return InterpolationGif(**(values | changes))

    def test_frames_lead_there_and_back(self, tmp_path: Path) -> None:
        view = view_of()
        drawn = self.figure()(view)
        assert drawn.frames.shape[0] == 6
        with torch.no_grad():
            one, other = pairs(view, 6)
            ends = [view.model.decode(codes).clamp(0, 1) for codes in (one, other)]
        for frame, images in ((drawn.frames[0], ends[0]), (drawn.frames[3], ends[1])):
            cells = [frame[1 + 5 * r : 5 + 5 * r, 1 + 5 * c : 5 + 5 * c]
                     for r in range(2) for c in range(3)]  # fmt: skip
            expected = (images[:, 0] * 255).round().to(torch.uint8).numpy()
            assert np.array_equal(np.stack(cells), expected)
        assert np.array_equal(drawn.frames[1:3], drawn.frames[:3:-1])
        with torch.no_grad():
            nearest_images = torch.cdist(one.flatten(1), view.codes(view.images)).amin(1)
        assert float(nearest_images.max()) < 1e-3, "the ends are codes of test images"

    def test_file_holds_the_frames(self, tmp_path: Path) -> None:
        view = view_of()
        drawn = self.figure()(view)
        draw({"interpolation_gif": self.figure(), "other": self.figure()}, view, tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["interpolation.gif", "other.gif"]
        with Image.open(tmp_path / "interpolation.gif") as image:
            assert (image.n_frames, image.info["duration"], image.info["loop"]) == (6, 50, 0)
            for n, frame in enumerate(drawn.frames):
                image.seek(n)
                assert np.array_equal(np.asarray(image.convert("L")), frame), "grey is exact"

    def test_colours_share_a_palette(self, tmp_path: Path) -> None:
        view = view_of(shape=(3, 8, 8))
        drawn = self.figure(side=8)(view)
        assert drawn.frames.shape[-1] == 3
        drawn.save(tmp_path / "x.gif")
        with Image.open(tmp_path / "x.gif") as image:
            assert image.n_frames == 6
            found = np.asarray(image.convert("RGB")).astype(float)
        assert np.abs(found - drawn.frames[0]).mean() < 6

    def test_pairs_are_of_different_images(self) -> None:
        with torch.no_grad():
            one, other = pairs(view_of(2), 20)
        assert bool((one != other).any(1).all())
        assert len(one.unique(dim=0)) == 2

    def test_one_step_is_one_frame(self) -> None:
        assert len(self.figure(steps=1)(view_of()).frames) == 1

    def test_where_it_does_not_apply(self) -> None:
        with pytest.raises(NotApplicable, match="only one image"):
            self.figure()(view_of(1))
        with pytest.raises(NotApplicable, match="table"):
            self.figure()(view_of(shape=(1, 1, 5)))

    def test_a_failure_leaves_the_older_file(self, tmp_path: Path) -> None:
        class Broken(Picture):
            def __call__(self, view: View) -> Animation:
                return Animation(np.zeros((2, 3, 4, 5), np.uint8), 50)

        (tmp_path / "x.gif").write_bytes(b"older")
        with pytest.raises(TypeError):
            draw({"x_gif": Broken()}, view_of(), tmp_path)
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.gif", b"older")]


class TestCodes:
    def test_pictures_and_title(self) -> None:
        view = view_of(latent=making.plain(5, activation="relu"))
        figure = Codes(columns=3, threshold=0.1)(view)
        with torch.no_grad():
            codes = view.codes(view.images)
        limit = float(codes[:3].max())
        pictures = torch.stack([arranged(code) for code in codes[:3]])
        expected = centred(colours(pictures, limit, signed=False))
        torch.testing.assert_close(row(figure.axes[1], 3), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(row(figure.axes[0], 3), centred(view.images[:3]))
        active = 100 * float((codes > 0.1).float().mean())
        assert f"{active:.1f} % active" in title(figure)
        assert title(figure).endswith(f"mean |z| {codes.mean():.3g}")

    def test_tables_have_codes_without_images(self) -> None:
        figure = Codes(columns=3, threshold=0.1)(view_of(shape=(1, 1, 5)))
        assert [texts(axes) for axes in figure.axes] == [["code"], []]

    def test_huge_codes_are_left_out(self) -> None:
        spatial = Spatial(channels=160, activation=None)
        view = view_of(2, (1, 16, 16), network=making.conv(4), latent=spatial)
        with pytest.raises(NotApplicable, match="no little picture"):
            Codes(columns=3, threshold=0.1)(view)


def test_maps_of_other_proportions_fit_beside_the_image() -> None:
    spatial = Spatial(channels=None, activation=None)
    view = view_of(4, (3, 9, 7), network=making.conv(4), latent=spatial)
    figure = FeatureMaps(images=2, maps=4)(view)
    assert row(figure.axes[0], 5).shape == (5, 3, 90, 90)


def test_feature_maps_are_the_first_convolution_activated() -> None:
    view = convolutional()
    figure = FeatureMaps(images=2, maps=3)(view)
    convolution = view.model.encoder[0]  # type: ignore[index]
    with torch.no_grad():
        maps = convolution(view.images[:2]).tanh()[:, :3]
    limit = float(maps.abs().max())
    for axes, image, each in zip(figure.axes, view.images, maps, strict=False):
        torch.testing.assert_close(row(axes, 4)[:1], enlarged(image[None]))
        expected = enlarged(colours(each, limit, signed=True))
        # a strided convolution's maps are smaller than the image and drawn as large
        assert expected.shape == row(axes, 4)[1:].shape
        torch.testing.assert_close(row(axes, 4)[1:], expected, atol=1e-5, rtol=0)
    assert title(figure).endswith("3 of 4 maps")


class TestErrors:
    def test_auroc_of_known_answers(self) -> None:
        known = torch.tensor([1.0, 2.0, 3.0])
        assert auroc(known, torch.tensor([4.0, 5.0])) == 1.0
        assert auroc(known, torch.tensor([0.0])) == 0.0
        assert auroc(known, known) == 0.5
        assert auroc(known, torch.tensor([2.5])) == pytest.approx(2 / 3)

    def test_legend_names_all_kinds(self) -> None:
        view = replace(view_of(), unknown={"inverse": 1 - making.images(30, 1, 4, 4)})
        figure = ErrorDistribution(images=20, bins=10)(view)
        legend = figure.axes[0].get_legend()
        assert legend is not None
        names = [text.get_text() for text in legend.get_texts()]
        with torch.no_grad():
            unknown = view.unknown["inverse"][:20]
            errors = (view.model.reconstruct(unknown) - unknown).square().mean((1, 2, 3))
        assert [name.split(",")[0] for name in names] == [
            "test images", "uniform random", "inverse",
        ]  # fmt: skip
        counts = [patch.get_data().values for patch in figure.axes[0].patches]
        assert all(values.max() == 1 for values in counts)
        edges = figure.axes[0].patches[-1].get_data().edges
        expected, _ = np.histogram(errors.numpy(), edges)
        np.testing.assert_allclose(counts[-1], expected / expected.max())

    def test_trained_errors_tell_noise_from_images(self) -> None:
        x = making.images(50, 1, 4, 4) @ torch.diag(torch.tensor([1.0, 0, 0, 0]))
        view = replace(view_of(50, network=making.linear(), latent=making.plain(8)), images=x)
        ClosedForm().solve(view.model, x, 0)
        legend = ErrorDistribution(images=50, bins=10)(view).axes[0].get_legend()
        assert legend is not None
        assert legend.get_texts()[1].get_text() == "uniform random, AUROC 1.0000"

    @pytest.mark.parametrize("kind", ["gaussian", "dropout", "salt_and_pepper"])
    def test_robustness_starts_at_the_clean_error(self, kind: str) -> None:
        view = view_of()
        figure = Robustness(**(ROBUST | {"kind": kind}))(view)  # type: ignore[arg-type]
        noisy, model = (np.asarray(line.get_ydata()) for line in figure.axes[0].lines)
        with torch.no_grad():
            clean = (view.model.reconstruct(view.images) - view.images).square().mean()
        assert model[0] == pytest.approx(float(clean), rel=1e-5)
        assert noisy[0] == 0
        assert noisy[1] < noisy[2]
        if kind == "gaussian":
            x = view.images[spread(view.labels, 40, 40, view.generator())]
            loud = x + torch.empty_like(x).normal_(generator=view.generator())
            with torch.no_grad():
                error = (view.model.reconstruct(loud) - x).square().mean()
            assert model[2] == pytest.approx(float(error), rel=1e-5)
            assert noisy[2] == pytest.approx(4 * noisy[1], rel=1e-5)
            assert noisy[2] == pytest.approx(1, rel=0.2)
        if kind == "dropout":
            assert noisy[2] == pytest.approx(float(view.images.square().mean()), rel=1e-5)

    def test_noise_is_one_of_pixels_whatever_the_range(self) -> None:
        shift, scale = torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.1)
        views = view_of(), view_of(shift=shift, scale=scale)
        lines = [Robustness(**ROBUST)(v).axes[0].lines[0] for v in views]  # type: ignore[arg-type]
        one, other = (np.asarray(line.get_ydata()) for line in lines)
        np.testing.assert_array_equal(one, other)


class TestJacobian:
    def test_norm_of_a_linear_encoder_is_its_matrix(self) -> None:
        view = view_of(network=making.linear())
        norm = float(view.model.latent.project[1].weight.detach().norm())  # type: ignore[index, union-attr]
        figure = Jacobian(images=10, bins=4, method="exact", samples=1)(view)
        (line,) = figure.axes[0].lines
        assert np.asarray(line.get_xdata()) == pytest.approx(norm, rel=1e-5)

    @pytest.mark.parametrize("latent", [making.plain(3), making.gaussian(3)])
    def test_mean_is_that_of_autograd(self, latent: object) -> None:
        view = view_of(12, latent=latent)
        figure = Jacobian(images=12, bins=4, method="exact", samples=1)(view)
        norms = []
        for x in view.images:
            rows = torch.autograd.functional.jacobian(
                lambda pixels: view.model.encode(pixels[None]).mean[0], x
            )
            norms.append(float(rows.norm()))
        (line,) = figure.axes[0].lines
        assert np.asarray(line.get_xdata()) == pytest.approx(np.mean(norms), rel=1e-4)
        assert sum(patch.get_height() for patch in figure.axes[0].patches) == 12

    def test_estimate_is_near(self) -> None:
        view = view_of(latent=making.plain(3))
        means = [
            float(np.asarray(figure.axes[0].lines[0].get_xdata())[0])
            for figure in (
                Jacobian(images=40, bins=4, method="exact", samples=1)(view),
                Jacobian(images=40, bins=4, method="estimate", samples=200)(view),
            )
        ]
        assert means[1] == pytest.approx(means[0], rel=0.05)


class TestCodeNoise:
    def test_first_column_is_without_noise_and_strength_counts(self) -> None:
        view = view_of()
        figure = CodeNoise(strengths=[1e-7, 3.0], images=1)(view)
        code, pixels, cleaned = (row(axes, 3)[:, :1] for axes in figure.axes)
        index = int((view.images == pixels[0]).flatten(1).all(1).int().argmax())
        with torch.no_grad():
            expected = view.model.reconstruct(view.images[index : index + 1]).clamp(0, 1)
        torch.testing.assert_close(code[:1], expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(cleaned[:1], expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(code[1], code[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(pixels[1], pixels[0], atol=1e-5, rtol=0)
        for kind in (code, pixels):
            assert float((kind[2] - kind[0]).abs().mean()) > 0.05
        assert not any(texts(axes)[1:] for axes in figure.axes[1:]), "no distances"

    def test_distance_to_the_nearest(self) -> None:
        training = making.images(30, 1, 4, 4)
        images = training[[4, 9]].clone()
        images[1, 0, 0, 0] += 0.25
        torch.testing.assert_close(nearest(images, training), torch.tensor([0.0, 0.25]))
        view = replace(view_of(), training=view_of().images)
        figure = CodeNoise(strengths=[1.0], images=2)(view)
        assert len(figure.axes) == 6
        assert texts(figure.axes[1])[0] == "0.00", "a training image itself"


def test_hidden_activity_of_known_layers() -> None:
    view = view_of(network=making.mlp(6, activation="relu"), latent=making.plain(3))
    layer = view.model.encoder[1]  # type: ignore[index]
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([2.0, 4.0, -1.0, -1.0, -1.0, -1.0]))
        found = HiddenActivity(threshold=0.01).measure(view)
        code = view.codes(view.images)
    assert list(found) == ["encoder 1  6", "code  3", "decoder 1  6"]
    assert found["encoder 1  6"] == pytest.approx((1.0, 2 / 6))
    assert found["code  3"][0] == pytest.approx(float(code.abs().mean()), rel=1e-5)
    left, right = HiddenActivity(threshold=0.01)(view).axes
    widths = [patch.get_width() for patch in left.patches]
    assert widths == pytest.approx([value[0] for value in found.values()][::-1])
    assert right.patches[-1].get_width() == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    "overrides",
    [*VARIANTS, ["model=conv_ae", "network=conv_unpool"]],
    ids=lambda overrides: ",".join(word.partition("=")[2] for word in overrides),
)
def test_every_variant_draws_or_says_why_not(overrides: list[str]) -> None:
    parts = words(compose(parse([*overrides, "figures=none"])).config)
    model = prepare(parts).eval()
    test = parts.data.test.subset(torch.arange(60))
    view = View(model, test.pixels(), test.labels, training=parts.data.train.pixels())
    skipped = {}
    with torch.no_grad():  # as in a run
        for name, node in NODES.items():
            try:
                build(node, name, Picture)(view)
            except NotApplicable as reason:
                skipped[name] = str(reason)
    expected = {}
    if not any(isinstance(part, nn.Conv2d) for part in model.encoder.modules()):
        expected["feature_maps"] = "the encoder has no convolution"
    if model.needs_context:
        reason = "this network decodes only the codes of images, no others"
        expected |= {"traversals": reason, "interpolation_gif": reason}
        expected["weight_product"] = "the model is not linear: it pools maxima"
    elif any(isinstance(part, nn.ReLU) for part in model.modules()):
        expected["weight_product"] = "the model is no product of matrices: it has ReLU"
    assert skipped == expected


@pytest.mark.parametrize("network", ["conv", "linear"])
def test_second_drawing_has_the_same_bytes(network: str, tmp_path: Path) -> None:
    view = convolutional() if network == "conv" else view_of(network=making.linear())
    figures = {name: build(node, name, Picture) for name, node in NODES.items()}
    skipped = [draw(figures, view, tmp_path / folder) for folder in "ab"]
    assert skipped[0] == skipped[1]
    assert list(skipped[0]) == ["weight_product" if network == "conv" else "feature_maps"]
    files = [sorted((tmp_path / folder).iterdir()) for folder in "ab"]
    assert len(files[0]) == len(figures) - 1
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        if one.suffix == ".png":
            assert one.stat().st_size < 300_000
            assert plt.imread(one).std() > 0.01, "an empty page"
    assert plt.get_fignums() == []


@pytest.mark.parametrize("shape", [(3, 12, 10), (4, 9, 9), (1, 1, 6)])
def test_colours_and_tables(shape: tuple[int, int, int], tmp_path: Path) -> None:
    view = view_of(shape=shape)
    figures = {name: build(node, name, Picture) for name, node in NODES.items()}
    with torch.no_grad():
        skipped = draw(figures, view, tmp_path)
    pictured = {"traversals", "interpolation_gif", "feature_maps", "code_noise", "kernels"}
    assert set(skipped) == {"weight_product"} | (pictured if view.is_table else {"feature_maps"})
    assert all(len(reason) < 100 for reason in skipped.values())


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValidationError):
        Kernels(side="middle", count=1, columns=1)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        CodeNoise(strengths=[], images=1)
    with pytest.raises(ValidationError):
        Robustness(**(ROBUST | {"kind": "snow"}))  # type: ignore[arg-type]
