"""Several reconstruction terms: the first one's image, and others that judge it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import vgg

from aecore.api.create import create
from aecore.cli import main
from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.extractors import VGG, SmallClassifier, train_classifier
from aecore.model.penalties.weight import Weight
from aecore.model.reconstruction.beside import image_term
from aecore.model.reconstruction.perceptual import Perceptual
from aecore.runs.folder import read_history
from aecore.training.setup import build_experiment
from helpers.models import adam, gen, images, model

L1 = "reconstruction=[l1]"


def whole_of(*overrides: str) -> Autoencoder:
    parts = build_experiment(compose(parse(["model=ae", *overrides, "figures=none"])).config)
    torch.manual_seed(0)
    return parts.components.autoencoder((1, 8, 8))


def labelled(n: int = 60) -> Split:
    """Dark and bright images, by the label."""
    labels = torch.arange(n) % 2
    return Split(0.4 * images(n, 1, 8, 8) + 0.6 * labels.view(-1, 1, 1, 1), labels)


def steps(whole: Autoencoder, *epochs: float) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of a model and of its optimizer after a step at each of these times."""
    optimizer = adam()(whole.parameter_groups())
    for n, epoch in enumerate(epochs):
        terms = whole.terms(images(6, 1, 8, 8, seed=n), gen(n), epoch=epoch, noisy=True)
        optimizer.zero_grad()
        sum(terms.critics.values(), terms.loss).backward()
        optimizer.step()
    return whole.state_dict(), optimizer.state_dict()["state"]


class TestTheStart:
    OTHERS = ("reconstruction=[l1,adversarial]", "reconstruction.adversarial.start=2")

    def test_until_then_it_is_the_training_without_the_term(self) -> None:
        alone, state_alone = steps(whole_of(L1), 0.0, 1.0, 1.9)
        both, state = steps(whole_of(*self.OTHERS), 0.0, 1.0, 1.9)
        assert all(torch.equal(both[name], value) for name, value in alone.items())
        assert state.keys() == state_alone.keys()  # the critic has none
        for index, slots in state_alone.items():
            assert all(torch.equal(state[index][name], value) for name, value in slots.items())

    def test_from_then_on_model_and_critic_learn_by_it(self) -> None:
        alone, _ = steps(whole_of(L1), 2.0)
        before, after = (steps(whole_of(*self.OTHERS), epoch)[0] for epoch in (1.9, 2.0))
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert any(name.startswith("decoder.") for name in moved)
        assert any(".critic." in name for name in moved)
        assert any(not torch.equal(after[name], value) for name, value in alone.items())

    def test_whole_runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        common = ["model=ae", "dataset.train_size=128", "figures=none", "logger=csv"]
        late = ["reconstruction=[l1,adversarial]", "reconstruction.adversarial.start=1"]
        assert main([*common, L1, "trainer.max_epochs=1", "paths.output_dir=alone"]) == 0
        assert main([*common, *late, "trainer.max_epochs=2", "paths.output_dir=both"]) == 0
        alone, both = (read_history(next(Path(name).glob("*/*"))) for name in ("alone", "both"))
        same = [key for key in alone[0] if key.startswith(("train/", "val/m", "val/p"))]
        assert "train/loss" in same
        assert {key: both[0][key] for key in same if "second" not in key} == {
            key: alone[0][key] for key in same if "second" not in key
        }
        assert (
            float(both[0]["train/adversarial_loss"]) == 0 < float(both[1]["train/adversarial_loss"])
        )

    def test_in_steps(self) -> None:
        late = Weight(weight=2.0, schedule="linear", warmup=1.0, start="15 steps")
        late.attach(10)
        assert [late.at(e / 10) for e in (0, 14)] == [0, 0]
        assert late.at(1.5) == 0 and late.has_started(1.5)  # the schedule begins there
        assert late.at(2.0) == pytest.approx(1) and late.at(9) == 2 == late.at(float("inf"))

    @pytest.mark.parametrize("start", [3, "'30 steps'"])
    def test_after_the_end_is_refused(
        self, start: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        command = [
            "model=ae",
            "reconstruction=[bernoulli,ssim]",
            f"reconstruction.ssim.start={start}",
        ]
        options = ["dataset.train_size=640", "trainer.max_epochs=3", f"paths.output_dir={tmp_path}"]
        assert main([*command, *options]) == 2
        assert "reconstruction.ssim.start=" in capsys.readouterr().err
        assert not [*tmp_path.iterdir()]

    def test_of_the_first_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["model=ae", "reconstruction=adversarial_late"]) == 2
        assert "the first term counts from the start" in capsys.readouterr().err


class TestSeveralTerms:
    def test_the_loss_is_the_weighted_sum_of_their_costs_of_the_image(self) -> None:
        whole = whole_of("reconstruction=[bernoulli,ssim]", "reconstruction.ssim.weight=0.5")
        x = images(5, 1, 8, 8)
        terms = whole.terms(x, gen(), epoch=0, noisy=True)
        output = whole.run(x, gen(), noisy=True, sample=True).output
        entropy = F.binary_cross_entropy_with_logits(output, x, reduction="none").sum((1, 2, 3))
        ssim = create("reconstruction=ssim")(output, x)  # of logits too
        torch.testing.assert_close(terms.values["ssim_loss"], ssim.mean())
        torch.testing.assert_close(terms.loss, (entropy + 0.5 * ssim).mean())

    def test_the_weight_of_the_first(self) -> None:
        keys = ["reconstruction.mse.weight=1", "reconstruction.mse.weight=3"]
        one, two = (whole_of("reconstruction=mse", key) for key in keys)
        x = images(5, 1, 8, 8)
        losses = [w.terms(x, gen(), epoch=0, noisy=True).loss for w in (one, two)]
        torch.testing.assert_close(3 * losses[0], losses[1])
        assert (one.noise_variance, two.noise_variance) == (0.5, 0.5 / 3)

    def test_without_an_elbo(self) -> None:
        assert whole_of("reconstruction=bernoulli").has_likelihood
        assert not whole_of("reconstruction=[bernoulli,ssim]").has_likelihood

    def test_a_model_of_python_is_built_again(self) -> None:
        whole = whole_of("reconstruction=[l1,adversarial]", "reconstruction.adversarial.weight=0.2")
        nodes = whole.nodes["reconstruction"]
        assert [*nodes] == ["l1", "adversarial"] and nodes["adversarial"]["weight"] == 0.2
        assert whole.nodes["penalty"] == {}

    @pytest.mark.parametrize("second", ["mse", "gaussian"])
    def test_two_likelihoods_are_refused(
        self, second: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["model=ae", f"reconstruction=[l1,{second}]"]) == 2
        error = capsys.readouterr().err
        assert f"{second} is a likelihood of pixels, which only the first term may be" in error

    @pytest.mark.parametrize("first", ["l1", "mse", "gaussian"])
    def test_similarity_needs_an_image_in_the_unit_range(self, first: str) -> None:
        terms = f"reconstruction=[{first},ssim]"
        with pytest.raises(UserError, match="nothing bounds this image"):
            whole_of(terms)
        x = images(4, 1, 8, 8)
        whole = whole_of(terms, "network.output_activation=sigmoid")
        found = whole.terms(x, gen(), epoch=0, noisy=True).values["ssim_loss"]
        output = whole.run(x, gen(), noisy=True, sample=True).output
        torch.testing.assert_close(found, create("reconstruction=ssim")(output.logit(), x).mean())

    def test_a_bound_has_no_weight_of_the_reconstruction(self) -> None:
        iwae = ["model=iwae", "reconstruction.bernoulli.weight=2"]
        with pytest.raises(UserError, match="the bound counts the reconstruction once"):
            whole_of(*iwae)

    def test_beside_a_penalty_of_the_same_option(self) -> None:
        names = whole_of("penalty=adversarial", "reconstruction=[mse,adversarial]").penalties
        assert [*names] == ["adversarial", "adversarial_loss"]

    def test_create_takes_no_weight(self) -> None:
        with pytest.raises(UserError, match="`weight` is no option of the loss itself"):
            create("reconstruction=l1", weight=2.0)


class TestPerceptual:
    def made(self, training: Split) -> tuple[Autoencoder, Perceptual]:
        loss = create("reconstruction=perceptual")
        whole = model(image_shape=(1, 8, 8), penalties={"perceptual_loss": image_term(loss)})
        before = torch.get_rng_state()
        whole.penalties["perceptual_loss"].begin(whole, training, 0)
        assert torch.equal(torch.get_rng_state(), before)
        term = whole.penalties["perceptual_loss"].term
        assert isinstance(term, Perceptual)
        return whole, term

    def test_it_is_the_scaled_error_of_the_features_of_each_block(self) -> None:
        training = labelled()
        _, term = self.made(training)
        a, b = images(4, 1, 8, 8, seed=3), images(4, 1, 8, 8, seed=4)
        shown, errors = training.pixels(), []
        for block in term.extractor.blocks:
            a, b, shown = block(a), block(b), block(shown)
            errors.append((a - b).square().mean((1, 2, 3)) / shown.square().mean())
        first, second = images(4, 1, 8, 8, seed=3), images(4, 1, 8, 8, seed=4)
        torch.testing.assert_close(term(first, second), 64 * sum(errors) / 3)
        assert term(first, first).abs().max() == 0

    def test_its_features_tell_classes_apart(self) -> None:
        training = labelled()
        _, term = self.made(training)
        features = term.extractor(training.pixels())[-1].mean((2, 3))
        dark, bright = features[0::2], features[1::2]
        between = (dark.mean(0) - bright.mean(0)).norm()
        assert between > 2 * max(dark.std(0).norm(), bright.std(0).norm())

    def test_the_classifier_learns_in_few_epochs(self) -> None:
        """On mean activations it recognised 56 % of these digits."""
        digits = load_digits()
        x = torch.from_numpy(digits.images[:, None] / 16).float()
        y = torch.from_numpy(digits.target).long()
        make = partial(SmallClassifier, 1, 8, 8, 10, torch.nn.Identity())
        cpu, training = torch.device("cpu"), Split(x[:1400], y[:1400])
        found = train_classifier(make, training, 5, 101, cpu)
        assert (found(x[1400:]).argmax(1) == y[1400:]).float().mean() > 0.7

    def test_the_optimizer_leaves_them_as_they_are(self) -> None:
        whole, term = self.made(labelled())
        before = {name: value.clone() for name, value in term.state_dict().items()}
        steps(whole, 0.0, 0.5)
        assert all(torch.equal(term.state_dict()[name], value) for name, value in before.items())

    def test_without_labels_it_is_refused_and_names_the_other(self) -> None:
        with pytest.raises(UserError, match="no labels") as raised:
            self.made(Split(images(8, 1, 8, 8)))
        assert raised.value.hint == "use reconstruction.perceptual.weights=vgg"

    def test_vgg_is_that_of_torchvision(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its first 16 layers, from a file as torchvision publishes it."""
        theirs = vgg.make_layers(vgg.cfgs["D"])
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        (tmp_path / "checkpoints").mkdir()
        state = {f"features.{name}": value for name, value in theirs.state_dict().items()}
        torch.save(state, tmp_path / "checkpoints" / "vgg16-397923af.pth")
        ours = VGG()
        ours.load()
        x = images(2, 3, 16, 16)
        normal = (x - ours.mean) / ours.std
        torch.testing.assert_close(ours(x)[-1], theirs[:16](normal))
        assert torch.equal(ours(x[:, :1])[0], ours(x[:, :1].expand(-1, 3, -1, -1))[0])
