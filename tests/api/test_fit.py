"""Words joined and models trained in Python, without a command line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch

import aecore
from aecore.api.trained import Trained
from aecore.cli import main
from aecore.errors import NonFiniteError
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.gaussian import GaussianLatent
from aecore.model.networks.mlp import MLP
from aecore.model.noise.noises import Chain, Dropout, GaussianNoise, NoNoise
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.penalties.weight import Weight
from aecore.model.reconstruction.errors import MSE
from helpers.models import images

word = aecore.create
SHAPE = (1, 4, 4)


def joined(**changes: Any) -> Autoencoder:
    torch.manual_seed(0)
    words: dict[str, Any] = {
        "image_shape": SHAPE,
        "network": word("network=mlp", hidden=[6]),
        "latent": GaussianLatent(dim=2),
        "reconstruction": word("reconstruction=bernoulli"),
        "penalties": {"kl": KL()},
    }
    return Autoencoder(**(words | changes))


def fitted(model: Any, x: Any = None, *args: Any, **options: Any) -> Trained:
    x = images(40, *SHAPE) if x is None else x
    return aecore.fit(model, x, *args, **({"epochs": 1, "device": "cpu"} | options))


class TestWords:
    def test_are_as_their_yaml_says(self) -> None:
        network = word("network=mlp", hidden=[7])
        assert isinstance(network, MLP)
        assert (network.hidden, network.activation, network.dropout) == ([7], "relu", 0.0)
        assert word("latent=deterministic_wide").dim == 256
        assert word("latent=deterministic_wide").activation is not None, "inherited and changed"
        noise = word("noise=chain", steps=["dropout", {"gaussian": {"std": 0.25}}])
        assert isinstance(noise, Chain) and noise.steps[1].std == 0.25

    def test_penalties_bring_their_weights(self) -> None:
        assert joined(penalties={"kl": word("penalty=kl_beta")}).weights["kl"].weight == 4
        term = word("penalty=kl", weight=2.0, schedule="linear", warmup=4)
        weight = joined(penalties={"kl": term}).weights["kl"]
        assert (weight.at(0), weight.at(2), weight.at(9)) == (0, 1, 2)
        assert joined(penalties={"kl": term}, weights={"kl": 3}).weights["kl"].at(0) == 3

    @pytest.mark.parametrize(
        ("said", "values", "reason"),
        [
            ("network=mpl", {}, "no such network .did you mean 'mlp'"),
            ("netwrk=mlp", {}, "did you mean 'network'"),
            ("mlp", {}, 'write for example "network=mlp"'),
            ("network=mlp", {"hiden": [3]}, "network.hiden: unknown key .did you mean 'hidden'"),
            (
                "network=mlp",
                {"hidden": [0]},
                r"network.hidden=\[0\]: each must be greater than or equal to 1",
            ),
            (
                "penalty=l1",
                {"weight": -1.0},
                "penalty.l1.weight=-1.0: must be greater than or equal to 0",
            ),
            ("penalty=none", {}, "leave `penalties` out"),
            (
                "penalty=capacity",
                {"nats": -1.0},
                "penalty.capacity.nats=-1.0: must be greater than or equal to 0",
            ),
            ("noise=chain", {"steps": ["nose"]}, "no noise 'nose'"),
        ],
    )
    def test_that_are_none(self, said: str, values: dict[str, Any], reason: str) -> None:
        with pytest.raises(aecore.UserError, match=reason):
            word(said, **values)


class TestJoining:
    def test_what_is_not_said(self) -> None:
        network, latent = word("network=mlp"), GaussianLatent(dim=2)
        plain = Autoencoder(image_shape=[1, 4, 4], network=network, latent=latent)
        assert isinstance(plain.noise, NoNoise) and isinstance(plain.reconstruction, MSE)
        assert plain.weights == {} and plain.image_shape == SHAPE
        both = joined(penalties={"kl": KL(), "l1": L1Penalty()}, weights={"l1": 1e-3})
        assert [both.weights[name].at(5) for name in ("kl", "l1")] == [1, 1e-3]

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ({"image_shape": (28, 28)}, "give .channels, height, width"),
            ({"image_shape": (1, 0, 4)}, "give .channels, height, width"),
            ({"network": "mlp"}, "network='mlp': must be a Network"),
            ({"network": MLP}, "must be a Network"),
            ({"latent": word("network=mlp")}, "must be a Latent"),
            ({"penalties": {"kl": 3}}, "penalty=3: must be a Penalty"),
            ({"weights": {"lk": 1}}, "no penalty 'lk' .did you mean 'kl'"),
            ({"weights": [1]}, "weights: must be a mapping of names"),
            ({"penalties": [KL()]}, r'such as penalties={"l1": aecore.create\("penalty=l1"\)}'),
        ],
    )
    def test_what_does_not_fit(self, words: dict[str, Any], reason: str) -> None:
        with pytest.raises(aecore.UserError, match=reason):
            joined(**words)

    def test_one_that_was_trained_opens_again(self, tmp_path: Path) -> None:
        """All that was said is written down as YAML, and read."""
        x = images(40, *SHAPE)
        noise = Chain(steps=[Dropout(p=0.2), GaussianNoise(std=0.1)])
        weight = Weight(weight=0.5, schedule="cyclic", warmup=2.0)
        model = joined(noise=noise, weights={"kl": weight}, prior=word("prior=vamp", components=3))
        made = fitted(model, x, folder=tmp_path / "run", overrides="optimizer=sgd", lr=1e-4)
        assert made.model is model
        again = aecore.load(tmp_path / "run", device="cpu")
        assert torch.equal(again.encode(x), made.encode(x))
        np.testing.assert_array_equal(again.sample(3), made.sample(3))
        steps = again.model.noise.steps  # type: ignore[attr-defined]
        assert (steps[0].p, steps[1].std) == (0.2, 0.1)
        assert vars(again.model.weights["kl"])["warmup"] == 2.0
        assert again.metrics == made.metrics
        assert main(["task=list", f"paths.output_dir={tmp_path}"]) == 0

    def test_what_a_base_was_told_is_not_said(self) -> None:
        class Half(Dropout):
            def __init__(self) -> None:
                super().__init__(p=0.5)

        node = joined(noise=Half()).nodes["noise"]
        assert [*node] == ["_target_"] and node["_target_"].endswith("Half")

    def test_of_ones_own_classes(self, tmp_path: Path) -> None:
        class Still(NoNoise):
            """No file says where it is."""

        x = images(40, *SHAPE)
        made = fitted(joined(noise=Still()), x)
        assert "Still" in made._repr_html_()
        with pytest.raises(aecore.UserError, match=r"Still: no component of aecore"):
            fitted(joined(noise=Still()), x, folder=tmp_path / "run")
        assert not (tmp_path / "run").exists()


class TestTraining:
    def test_is_the_command_lines(self, tmp_path: Path) -> None:
        """The same images, words and seed: the same bits."""
        x = images(60, *SHAPE).numpy()
        np.savez(tmp_path / "x.npz", x_train=x[:, 0], x_test=x[:, 0])
        words = ["model=vae", "latent.dim=2", "network.hidden=[6]", "noise=dropout", "seed=3"]
        data = ["dataset=arrays", f"dataset.path={tmp_path / 'x.npz'}", "dataset.batch_size=20"]
        quiet = ["figures=none", "logger=none", "trainer.threads=1", "trainer/accelerator=cpu"]
        more = ["trainer.max_epochs=3", "dataset.val_size=10", f"hydra.run.dir={tmp_path / 'run'}"]
        assert main([*words, *data, *quiet, *more]) == 0
        own = fitted(words[:-1], x, epochs=3, batch_size=20, validation=10, seed=3)
        theirs = aecore.load(tmp_path / "run", device="cpu")
        np.testing.assert_array_equal(own.encode(x), theirs.encode(x))

    def test_by_its_seed(self) -> None:
        torch.manual_seed(1)
        expected = torch.rand(1)
        x = images(40, *SHAPE)
        torch.manual_seed(1)
        one, same, other = (fitted("vae latent.dim=2", x, seed=seed) for seed in (0, 0, 1))
        assert torch.equal(torch.rand(1), expected), "the caller's random numbers stay"
        assert torch.equal(one.encode(x), same.encode(x))
        assert not torch.equal(one.encode(x), other.encode(x))

    def test_leaves_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        made = fitted("vae latent.dim=2 sampler=gaussian", images(40, *SHAPE))
        assert [*tmp_path.iterdir()] == []
        assert made.sample(2).shape == (2, *SHAPE)
        assert made.metrics["val/mse"] > 0 and "in memory" in repr(made)
        assert "data:image/png;base64," in made._repr_html_()
        assert capfd.readouterr().out == ""

    def test_whatever_holds_the_images(self) -> None:
        bright = torch.randint(0, 256, (30, 4, 4), dtype=torch.uint8)
        table = np.arange(60).reshape(20, 3)
        one, same = fitted("ae", bright), fitted("ae", bright / 255)
        assert one.image_shape == SHAPE
        assert torch.equal(one.encode(bright), same.encode(bright / 255))
        assert fitted("ae dataset.range=standardised", table).encode(table).shape == (20, 32)
        assert fitted("pca latent.dim=2", table / 60, validation=0).score(table / 60).mean() < 1e-9
        made = fitted("cvae", bright, np.arange(30) % 3)
        assert "data:image/png" in made._repr_html_()

    def test_within_a_program_of_hydras(self) -> None:
        with hydra.initialize(version_base="1.3", config_path=None):
            fitted("ae latent.dim=2")
            assert hydra.compose(overrides=["+a=1"]).a == 1

    def test_losses_that_become_infinite(self) -> None:
        with pytest.raises(NonFiniteError, match=r"at step \d+\n  try a smaller learning rate,"):
            fitted("ae latent.dim=2 optimizer=sgd", lr=1e6, epochs=5)

    def test_goes_on_where_a_model_was_loaded(self) -> None:
        x = images(40, *SHAPE)
        made = fitted("ae latent.dim=2 network.hidden=[6]", x, epochs=5)
        before = float(made.score(x).mean())
        assert float(fitted(made.model, x, epochs=5).score(x).mean()) < before


REFUSED = [
    ("vea", {}, "no such model .did you mean 'vae'"),
    ("vae dataset=mnist", {}, "dataset=mnist: not an option of fit"),
    ("vae trainer.devices=2", {}, "not an option of fit"),
    ("vae latent.dim=2,3", {}, "several values\n  give one"),
    ("vae 'a", {}, "No closing quotation\n  close it"),
    (3, {}, "3: no model"),
    ("vae trainer.max_epochs=3", {}, r"fit\(\)\n  use its argument epochs$"),
    ("vae dataset.batch_size=4", {}, "argument batch_size$"),
    ("vae dataset.val_size=9", {}, "argument validation$"),
    ("vae", {"overrides": "seed=1"}, "argument seed$"),
    ("vae", {"overrides": ["latant.dim=3"]}, "did you mean 'latent'"),
    ("vae optimizer.lr=1", {"lr": 1}, "lr and optimizer.lr are the same"),
    ("vae", {"epochs": 0}, "^epochs=0: must be greater than or equal to 1"),
    ("vae", {"batch_size": 900}, "^batch_size=900: there are only 36 training images"),
    ("vae", {"validation": 1.5}, "^validation=1.5: "),
    ("vae", {"lr": "fast"}, "^lr=fast: must be a valid number"),
    ("vae", {"device": "gpu"}, "device=gpu: "),
    ("vae", {"config_dir": "gone"}, "config_dir='gone': no such folder"),
    ("cvae", {}, "have no labels"),
    ("cvae", {"labels": [0, 1]}, "40 whole numbers"),
    ("vae", {"x": 255 * images(4, *SHAPE)}, "divide by 255"),
    ("vae", {"x": images(0, *SHAPE)}, "there are none"),
    ("vae", {"x": images(4, 8, 8, 3)}, "the channels come first"),
    ("vae", {"x": np.zeros(3)}, "images of shape"),
    ("vae", {"x": "digits"}, "one array of numbers"),
]


@pytest.mark.parametrize(("model", "options", "reason"), REFUSED, ids=[r[-1] for r in REFUSED])
def test_is_refused(tmp_path: Path, model: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(aecore.UserError, match=reason) as error:
        fitted(model, **(options | {"folder": tmp_path / "run"}))
    assert len(str(error.value).splitlines()) <= 3
    assert not (tmp_path / "run").exists()


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("kept")
    for folder in (tmp_path / "file.py", tmp_path / "file.py" / "run", 3):
        with pytest.raises(aecore.UserError, match=f"^folder={folder}: "):
            fitted("vae", folder=folder)
    assert (tmp_path / "file.py").read_text() == "kept"


def test_a_joined_model_takes_only_what_fits(tmp_path: Path) -> None:
    told = joined(classes=3, latent=word("latent=gaussian", dim=2))
    for x, labels, words, reason in [
        (images(40, 1, 4, 5), None, "", "this model takes"),
        (images(40, 5, 5, 1).numpy(), None, "", r"images.transpose\(0, 3, 1, 2\)"),
        (images(40, *SHAPE), None, "", "give labels"),
        (images(40, *SHAPE), np.full(40, 3), "", "from 0 to 2"),
        (images(40, *SHAPE), np.zeros(40, int), "latent.dim=4", "not an option of fit"),
    ]:
        with pytest.raises(aecore.UserError, match=reason):
            fitted(told, x, labels, overrides=words)
    folder = tmp_path / "run"
    fitted(told, images(40, *SHAPE), np.arange(40) % 3, folder=folder)
    with pytest.raises(aecore.UserError, match="holds a run already"):
        fitted("vae", folder=folder)
    shutil.copy(folder / "checkpoints" / "last.ckpt", tmp_path)
    assert aecore.load(tmp_path / "last.ckpt", device="cpu").model.classes == 3
