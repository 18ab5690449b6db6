"""Models that are told the class of each image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.data.split import Split
from aecore.errors import SkippedError, UserError
from aecore.evaluation.evaluate import evaluate
from aecore.evaluation.figures.error_distribution import ErrorDistribution
from aecore.evaluation.figures.grid import displayable
from aecore.evaluation.figures.interpolations import Interpolations
from aecore.evaluation.figures.samples import Samples
from aecore.evaluation.figures.traversals import Traversals
from aecore.evaluation.metrics.compression import Compression
from aecore.evaluation.metrics.ood import Ood
from aecore.evaluation.selection import balanced
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.deterministic import Spatial
from aecore.model.networks.base import Network
from aecore.model.networks.resnet import ResNet
from aecore.model.objectives.bounds import Iwae
from aecore.model.passes import Inputs
from aecore.model.penalties.gradient import GradientPenalty
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from helpers.experiments import row, texts, title, unpool
from helpers.models import (
    Memory,
    adam,
    contractive,
    conv,
    data_of,
    fit,
    gaussian,
    gen,
    images,
    linear,
    mlp,
    model,
    plain,
)
from helpers.passes import same

CLASSES = 3
Y = torch.tensor([0, 1, 2, 1, 0])
OTHER = (Y + 1) % CLASSES


def cvae(**words: Any) -> Autoencoder:
    values = {"latent": gaussian(2), "penalties": {"kl": KL()}, "reconstruction": bernoulli()}
    return model(classes=CLASSES, **(values | words))


def bernoulli() -> Bernoulli:
    return Bernoulli(targets="soft", threshold=0.5)


def resnet() -> Network:
    return ResNet(
        channels=[4], blocks=1, kernel_size=3, activation="relu", output_activation=None,
        bias=True, groups=2,
    )  # fmt: skip


def spatial(channels: int | None = None) -> Spatial:
    return Spatial(channels=channels, activation=None)


SENTENCES = [
    (mlp(6), plain(2)),
    (mlp(), gaussian(2)),
    (linear(), plain(2)),
    (conv(4), gaussian(2)),
    (conv(4), spatial(2)),
    (unpool(), plain(2)),
    (unpool(), spatial()),
    (resnet(), gaussian(2)),
    (resnet(), spatial()),
]


class TestModel:
    @pytest.mark.parametrize(("network", "latent"), SENTENCES)
    def test_both_sides_know_the_class_whatever_the_words(
        self, network: Network, latent: Any
    ) -> None:
        whole = model(network=network, latent=latent, classes=CLASSES, image_shape=(2, 5, 4))
        x = images(5, 2, 5, 4)
        terms = whole.terms(x, gen(), epoch=0, noisy=True, y=Y)
        terms.loss.backward()
        assert all(p.grad is not None for p in whole.parameters())
        whole.eval().requires_grad_(False)
        code, other = whole.encode(x, y=Y), whole.encode(x, y=OTHER)
        assert code.mean.shape == (5, *whole.code_shape)
        differ = (code.mean - other.mean).flatten(1).abs().amax(1)
        assert bool((differ > 0).all()), "the encoder knows"
        places, told = code.context[:-1], code.context[-1]
        assert torch.equal(told, Y)
        images_of = [whole.decode(code.mean, (*places, y)) for y in (Y, OTHER)]
        differ = (images_of[0] - images_of[1]).flatten(1).abs().amax(1)
        assert bool((differ > 0).all()), "the decoder knows"
        assert torch.equal(images_of[0], whole.reconstruct(x, Y))

    def test_what_encoder_and_decoder_are_given(self) -> None:
        """A plane of the class beside the image; the class, one-hot, beside the code."""
        whole = cvae().double().eval().requires_grad_(False)
        x = images(5, 1, 4, 4, dtype=torch.float64)
        planes = whole.condition.planes.weight[Y].view(5, 1, 4, 4)  # type: ignore[union-attr]
        h = whole.encoder(torch.cat([x, planes], 1))
        same(whole.encode(x, y=Y).mean, whole.latent(h, None, False).mean)
        z = torch.randn(5, 2, dtype=torch.float64, generator=gen())
        output = whole.decoder(torch.cat([z, torch.eye(3, dtype=torch.float64)[Y]], 1))
        same(whole.decode(z, whole.label_context(Y)), output.sigmoid())

    def test_a_map_has_the_class_at_every_place(self) -> None:
        whole = cvae(network=conv(4), latent=spatial(2), penalties={}).eval().requires_grad_(False)
        z = torch.randn(5, 2, 2, 2, generator=gen())
        told = torch.eye(3)[Y][:, :, None, None].expand(5, 3, 2, 2)
        output = whole.decoder(torch.cat([z, told], 1))
        assert torch.equal(whole.output(z, (Y,)), output)

    @pytest.mark.parametrize("network", [mlp(6), linear()])
    def test_rows_of_a_table(self, network: Network) -> None:
        whole = cvae(network=network, image_shape=(1, 1, 6), reconstruction=MSE())
        x = images(5, 1, 1, 6)
        assert whole.reconstruct(x, Y).shape == x.shape
        assert not torch.equal(whole.reconstruct(x, Y), whole.reconstruct(x, OTHER))

    def test_labels_are_needed(self) -> None:
        whole, x = cvae(), images(5, 1, 4, 4)
        z = whole.encode(x, y=Y).mean
        for asked in (
            lambda: whole.encode(x),
            lambda: whole.reconstruct(x),
            lambda: whole.decode(z),
            lambda: whole.terms(x, gen(), epoch=0, noisy=True),
        ):
            with pytest.raises(UserError, match="conditional=true: this needs class labels"):
                asked()

    def test_others_have_no_use_for_labels(self) -> None:
        whole, x = model(latent=gaussian(2)), images(5, 1, 4, 4)
        assert whole.classes is None
        assert torch.equal(whole.reconstruct(x, Y), whole.reconstruct(x))
        assert torch.equal(whole.sample(5, gen(), Y), whole.sample(5, gen()))

    def test_samples_take_one_class_after_the_other(self) -> None:
        whole = cvae().eval()
        z = whole.prior_density.sample((5, 2), whole.shift, gen())
        assert torch.equal(whole.sample(5, gen()), whole.decode(z, (torch.arange(5) % 3,)))
        assert torch.equal(whole.sample(5, gen(), Y), whole.decode(z, (Y,)))

    def test_several_codes_an_image(self) -> None:
        """Each draw of an importance weighted bound is decoded as its image's class."""
        x = images(5, 1, 4, 4).round()
        whole = cvae(objective=Iwae(samples=3), penalties={}).requires_grad_(False)
        got = whole.terms(x, gen(4), epoch=0, noisy=False, y=Y).values["iwae"]
        draws = gen(4)
        h = whole.encoder_pass(Inputs(x, draws, noisy=False, y=Y)).h
        codes = [whole.latent(h, draws, True), whole.latent(h.repeat(2, 1), draws, True)]
        each: list[list[Tensor]] = [[] for _ in x]
        for code in codes:
            assert code.posterior is not None
            ratio = (whole.prior_density.log_prob(code.z) - code.posterior.log_prob(code.z)).sum(1)
            for k, z in enumerate(code.z):
                n = k % 5
                cost = whole.reconstruction(whole.output(z[None], (Y[n : n + 1],)), x[n : n + 1])
                each[n].append(ratio[k] - cost[0])
        expected = -torch.stack([torch.stack(w).exp().mean().log() for w in each]).mean()
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


class TestPenalties:
    @pytest.mark.parametrize("network", [mlp(6, 5), conv(3)])
    def test_contractive_is_the_jacobian_by_the_image_alone(self, network: Network) -> None:
        whole = model(network=network, classes=CLASSES).double()
        x = images(5, 1, 4, 4, dtype=torch.float64)
        p = whole.run(x, None, noisy=False, sample=False, y=Y)
        got = contractive("exact")(p)
        norms = []
        for one, label in zip(x, Y, strict=True):
            jacobian = torch.autograd.functional.jacobian(
                lambda v, y=label: whole.encode(v, y=y[None]).mean,
                one[None],
                create_graph=True,
            )
            norms.append(jacobian.square().sum())
        same(got, torch.stack(norms))
        weights = [*whole.encoder.parameters(), *whole.condition.parameters()]  # type: ignore[union-attr]
        found = torch.autograd.grad(got.sum(), weights, allow_unused=True)
        wanted = torch.autograd.grad(sum(norms), weights, allow_unused=True)
        for a, b in zip(found, wanted, strict=True):
            same(torch.zeros(1) if a is None else a, torch.zeros(1) if b is None else b)
        assert found[-1] is not None and float(found[-1].abs().max()) > 0, "the plane bends it"

    def test_gradient_is_that_of_the_decoder_of_the_class(self) -> None:
        whole = cvae().double()
        p = whole.run(images(5, 1, 4, 4, dtype=torch.float64), None, noisy=False, sample=False, y=Y)
        expected = []
        for z, label in zip(p.code.z, Y, strict=True):
            jacobian = torch.autograd.functional.jacobian(
                lambda v, y=label: whole.decode(v, (y[None],)), z[None]
            )
            expected.append(jacobian.square().sum())
        same(GradientPenalty(method="exact", samples=1)(p), torch.stack(expected))


def stripes(n: int = 96) -> Split:
    """Images of three classes, a bright row of its own each, and what is the same in all."""
    labels = torch.arange(n) % CLASSES
    x = 0.2 * images(n, 1, 4, 4)
    x[torch.arange(n), 0, labels] += 0.7
    return Split(x, labels, class_names=("top", "middle", "bottom"))


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    """A conditional VAE of the stripes; not to be changed."""
    split = stripes()
    whole = cvae(reconstruction=GaussianLikelihood(scale=0.1))
    fit(whole, data_of(Memory(split), val_size=12), epochs=15, optimizer=adam(0.02))
    return whole.eval().requires_grad_(False)


class TestMeasuring:
    def test_wrong_labels_cost(self, trained: Autoencoder) -> None:
        split = stripes()
        assert split.labels is not None
        wrong = Split(split.images, (split.labels + 1) % CLASSES)
        right, shuffled = (evaluate(Trial(trained, s, batch_size=7)) for s in (split, wrong))
        for name in ("test/mse", "test/loss"):
            assert right[name] < 0.5 * shuffled[name], name
        assert right["test/elbo"] > shuffled["test/elbo"] + 10

    def test_the_class_counts_among_the_bits(self, trained: Autoencoder) -> None:
        trial = Trial(trained, stripes(), batch_size=7, read_training=stripes)
        found = Compression(bits=8)(trial)
        assert found["bits_per_code"] == pytest.approx(64 + 1.584963)
        x, y = trial.tensors()
        error = float((trained.reconstruct(x, y) - x).square().mean())
        assert found["quantised_mse"] == pytest.approx(error, rel=0.05)

    def test_images_of_no_known_class(self, trained: Autoencoder) -> None:
        split = stripes()
        with pytest.raises(SkippedError, match="class-conditional"):
            Ood(units="model")(Trial(trained, split, ood={"other": split}))
        with pytest.raises(SkippedError, match="class-conditional"):
            ErrorDistribution(images=9, bins=3)(Trial(trained, split))


class TestFigures:
    def trial(self, whole: Autoencoder) -> Trial:
        return Trial(whole, stripes(30))

    def test_a_column_of_samples_is_a_class(self, trained: Autoencoder) -> None:
        trial = self.trial(trained)
        figure = Samples(rows=2, columns=10)(trial)
        assert title(figure) == "Samples by class"
        assert texts(figure.axes[0]) == ["top", "middle", "bottom"]
        drawn = displayable(trained.sample(6, trial.generator(), torch.tensor([0, 1, 2] * 2)))
        for n, axes in enumerate(figure.axes):
            shown = row(axes, 3)[:, :1]
            torch.testing.assert_close(shown, drawn[3 * n : 3 * n + 3], atol=1e-6, rtol=0)
            assert shown[:, 0].mean(2).argmax(1).tolist() == [0, 1, 2], "a bright row each"

    def test_the_way_keeps_the_class_it_begins_with(self, trained: Autoencoder) -> None:
        figure = Interpolations(rows=2, steps=4)(self.trial(trained))
        for axes in figure.axes:
            first, *way, last = row(axes, 6)[:, 0].mean(2).argmax(1).tolist()
            assert way == [first] * 4 and last != first

    def test_traversals_are_of_one_class(self, trained: Autoencoder) -> None:
        trial = self.trial(trained)
        figure = Traversals(dims=2, steps=3, span=1.0, start="zero")(trial)
        assert trial.images.labels is not None
        (label,) = trial.images.labels[
            balanced(trial.images.labels, 30, 1, trial.generator())
        ].tolist()
        for axes in figure.axes:
            assert row(axes, 3)[:, 0].mean(2).argmax(1).tolist() == [label] * 3
