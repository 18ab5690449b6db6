"""A trained model in Python: arrays in, arrays out."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import aecore
from aecore.api.trained import Trained
from aecore.cli import main
from aecore.data.sources.digits import Digits
from helpers.models import images

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VAE of the digits with a sampler, trained by the command line; not to be changed."""
    folder = tmp_path_factory.mktemp("api") / "run"
    words = [
        "model=vae",
        "latent.dim=3",
        "network.hidden=[16]",
        "sampler=gaussian",
        "noise=dropout",
    ]
    tiny = ["logger=none", "figures=[reconstructions]", "trainer.max_epochs=2", "trainer.threads=1"]
    assert main([*words, *tiny, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def ae(run: Path) -> Trained:
    return aecore.load(run, device="cpu")


@pytest.fixture(scope="module")
def told() -> Trained:
    """A model that is told the class of each image."""
    x, y = images(40, 4, 4), torch.arange(40) % 3
    return aecore.fit("cvae latent.dim=2 network.hidden=[6]", x, y, epochs=1, device="cpu")


class TestWhatComesOut:
    def test_reconstructions_are_what_the_run_measured(self, ae: Trained) -> None:
        x = Digits().load("test", Path()).pixels().numpy()
        wrong = ((ae.reconstruct(x) - x) ** 2).mean((1, 2, 3))
        np.testing.assert_allclose(wrong.mean(), ae.metrics["test/mse"], rtol=1e-6)
        np.testing.assert_allclose(ae.score(x), wrong, rtol=1e-5)
        elbo = -ae.score(x, by="elbo").mean()
        assert abs(elbo - ae.metrics["test/elbo"]) < 0.3, "another draw of the code"

    def test_whatever_holds_the_images(self, ae: Trained) -> None:
        x = images(7, *SHAPE)
        codes = ae.encode(x)
        assert isinstance(codes, torch.Tensor) and codes.shape == (7, 3)
        assert not codes.requires_grad
        for same in (x[:, 0], x.flatten(1), x.double(), x.clone().requires_grad_()):
            torch.testing.assert_close(ae.encode(same), codes)
        for array in (x.numpy(), x.numpy()[:, 0], x.tolist(), np.asfortranarray(x.numpy())):
            found = ae.encode(array)
            assert isinstance(found, np.ndarray)
            np.testing.assert_array_equal(found, codes.numpy())
        bright = torch.randint(0, 256, (7, *SHAPE), dtype=torch.uint8)
        assert torch.equal(ae.encode(bright), ae.encode(bright / 255))

    def test_batches_change_nothing(self, ae: Trained) -> None:
        x = images(1030, *SHAPE)
        assert ae.score(x).shape == (1030,)
        torch.testing.assert_close(ae.encode(x)[1000:], ae.encode(x[1000:]))
        torch.testing.assert_close(ae.decode(ae.encode(x)), ae.reconstruct(x))

    def test_draws_by_their_seed(self, ae: Trained) -> None:
        x = images(5, *SHAPE)
        mean, draws = ae.encode(x), [ae.encode(x, sample=True, seed=s) for s in (0, 0, 1)]
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2]) and not torch.equal(draws[0], mean)
        new = ae.sample(4)
        assert new.shape == (4, *SHAPE) and new.min() >= 0 and new.max() <= 1
        np.testing.assert_array_equal(new, ae.sample(4))
        assert not np.array_equal(new, ae.sample(4, seed=1))

    def test_nothing_of_nothing(self, ae: Trained, told: Trained) -> None:
        assert ae.encode(np.zeros((0, *SHAPE))).shape == (0, 3)
        assert ae.reconstruct(np.zeros((0, 64))).shape == (0, *SHAPE)
        assert ae.decode(np.zeros((0, 3))).shape == (0, *SHAPE)
        assert ae.score(np.zeros((0, *SHAPE))).shape == (0,)
        assert told.encode(np.zeros((0, 4, 4)), np.zeros(0, int)).shape == (0, 2)

    def test_classes(self, told: Trained) -> None:
        x, y = images(6, 4, 4), np.arange(6) % 3
        assert not torch.equal(told.reconstruct(x, y), told.reconstruct(x, (y + 1) % 3))
        assert told.sample(3, labels=[2, 2, 0]).shape == (3, 1, 4, 4)

    def test_the_callers_random_numbers_stay(self, run: Path) -> None:
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        aecore.load(run, device="cpu").sample(2)
        assert torch.equal(torch.rand(1), expected)


@pytest.fixture(scope="module")
def plain() -> Trained:
    """A model that has no prior."""
    return aecore.fit("ae latent.dim=2 network.hidden=[6]", images(20, 4, 4), epochs=1)


REFUSED = [
    (lambda ae: ae.encode(images(2, 3, 8, 8)), r"\(2, 3, 8, 8\): this model takes \(N, 1, 8, 8\)"),
    (lambda ae: ae.encode(images(2, 8, 8, 1)), "channels first"),
    (lambda ae: ae.encode(images(*SHAPE)[0]), r"images\[None\]"),
    (lambda ae: ae.sample(-1), "^n=-1: must be from 0"),
    (lambda ae: ae.sample(2.5), "^n=2.5: must be an integer"),
    (lambda ae: ae.sample("4"), "^n='4': must be an integer"),
    (lambda ae: ae.sample(2, seed="a"), "^seed='a': must be an integer"),
    (lambda ae: ae.sample(2, seed=2**70), r"must be below 2\*\*64"),
    (lambda ae: ae.sample(2, temperature="hot"), "^temperature=hot: "),
    (
        lambda ae: ae.score(images(2, *SHAPE), by="mse"),
        "by='mse': must be one of error, peak",
    ),
    (
        lambda ae: ae.score(images(2, *SHAPE), smooth=1),
        "^smooth=1: smooths the errors",
    ),
    (lambda ae: ae.score(images(2, *SHAPE), by="peak", smooth=-1), "^smooth=-1: must be a number"),
    (lambda ae: ae.score(images(2, *SHAPE), by="peak", smooth=9), "use smooth=2 or less"),
    (lambda ae: ae.encode(16 * images(2, *SHAPE)), "white: 16 in scikit-learn's digits"),
    (lambda ae: ae.encode(1e4 * images(2, *SHAPE)), "65535 where pixels have 16 bits"),
    (lambda ae: ae.encode(1.1 * images(9, *SHAPE)), r"images\.clip\(0, 1\)"),
    (lambda ae: ae.encode(None), "^images=None: no numbers\n  give one array of numbers$"),
    (lambda ae: ae.encode(Path("a.png")), "no numbers\n  give one array of numbers$"),
    (lambda ae: ae.decode(np.zeros(3)), r"codes\[None\]"),
    (lambda ae: ae.encode(255 * images(2, *SHAPE)), r"divide by 255, or give uint8"),
    (lambda ae: ae.encode(images(2, *SHAPE) - 1), r"images lie in \[-"),
    (lambda ae: ae.encode(torch.full((1, *SHAPE), torch.nan)), "NaN"),
    (lambda ae: ae.encode(np.zeros((1, *SHAPE), int)), "not clear what white is"),
    (lambda ae: ae.encode(np.zeros((1, *SHAPE), complex)), "not clear what white is"),
    (lambda ae: ae.encode([[1, 2], [3]]), "one array of numbers"),
    (lambda ae: ae.encode("digits"), "one array of numbers"),
    (lambda ae: ae.decode(np.zeros((2, 4))), r"codes of shape \(2, 4\): this model's are \(N, 3\)"),
    (lambda ae: ae.decode(np.full((2, 3), np.inf)), "codes hold NaN or infinite"),
]


@pytest.mark.parametrize(("call", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_does_not_fit_is_refused(ae: Trained, call: Any, reason: str) -> None:
    with pytest.raises(aecore.UserError, match=reason):
        call(ae)


@pytest.mark.parametrize("labels", [None, [0, 1, 3], [0, -1, 1], [0, 1], [0.0, 1.0, 2.0], "abc"])
def test_labels_that_do_not_fit(told: Trained, labels: Any) -> None:
    with pytest.raises(aecore.UserError, match="labels"):
        told.encode(images(3, 4, 4), labels)


def test_labels_are_for_models_that_are_told_them(ae: Trained) -> None:
    x, y = images(3, *SHAPE), [0, 1, 2]
    for call in (
        lambda: ae.sample(3, y),
        lambda: ae.encode(x, y),
        lambda: ae.decode(np.zeros((3, 3)), y),
        lambda: ae.reconstruct(x, y),
        lambda: ae.score(x, y),
    ):
        with pytest.raises(aecore.UserError, match="not class-conditional\n  leave them out"):
            call()


def test_what_the_labels_of_a_plain_model_were_does_not_show() -> None:
    made = aecore.fit("ae latent.dim=2", images(20, 4, 4), np.arange(20) % 2, epochs=1)
    assert "data:image/png" in made._repr_html_()


def test_nothing_to_sample_from(plain: Trained, ae: Trained) -> None:
    """What helps lies in another place for a model made here and for one of a run."""
    with pytest.raises(aecore.UserError, match='train with overrides="sampler=gmm"'):
        plain.sample(3)
    run = Trained(plain.model, ae.run)
    with pytest.raises(aecore.UserError, match=r"run=.* task=sample sampler=gmm\n") as error:
        run.sample(3)
    assert len(str(error.value).splitlines()) == 3


class TestWhereItLies:
    def test_a_checkpoint_in_its_run(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(run / "checkpoints")
        ae = aecore.load("best.ckpt", device="cpu")
        assert ae.metrics["test/mse"] > 0 and ae.model.sampler is not None

    def test_a_checkpoint_alone(self, run: Path, ae: Trained, tmp_path: Path) -> None:
        shutil.copy(run / "checkpoints" / "last.ckpt", tmp_path / "shared.ckpt")
        alone = aecore.load(tmp_path / "shared.ckpt", device="cpu")
        x = images(3, *SHAPE)
        assert torch.equal(alone.encode(x), ae.encode(x))
        assert alone.metrics == {} and "shared.ckpt" in repr(alone)
        assert "mlp" in alone._repr_html_()

    @pytest.mark.parametrize(
        ("place", "reason"),
        [("gone", "no such run folder"), (".", "runs below it"), ("run/history.csv", "foreign")],
    )
    def test_where_none_lies(self, run: Path, place: str, reason: str) -> None:
        with pytest.raises(aecore.UserError, match=reason):
            aecore.load(run.parent / place)

    @pytest.mark.parametrize("place", [None, 3])
    def test_what_is_no_place(self, place: Any) -> None:
        with pytest.raises(aecore.UserError, match=f"^{place}: no run\n  give its folder"):
            aecore.load(place)

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "meta1"])
    def test_devices_that_are_not_there(self, run: Path, device: str) -> None:
        with pytest.raises(aecore.UserError, match=f"device={device}: "):
            aecore.load(run, device=device)

    def test_words_of_ones_own(self, tmp_path: Path) -> None:
        own, place = tmp_path / "words", tmp_path / "run"
        (own / "noise").mkdir(parents=True)
        (own / "own_noise_here.py").write_text(
            "from aecore.model.noise.base import Noise\n"
            "class Still(Noise):\n"
            "    def __init__(self, level): self.level = level\n"
            "    def __call__(self, x, generator, span): return x\n"
        )
        (own / "noise" / "still.yaml").write_text("_target_: own_noise_here.Still\nlevel: 2\n")
        x = images(20, 4, 4)
        made = aecore.fit("ae noise=still", x, epochs=1, folder=place, config_dir=own)
        with pytest.raises(aecore.UserError, match="Still: no component of aecore"):
            aecore.load(place)
        with pytest.raises(aecore.UserError, match="no such folder"):
            aecore.load(place, config_dir=tmp_path / "gone")
        again = aecore.load(place, config_dir=own, device="cpu")
        assert torch.equal(again.encode(x), made.encode(x))
        assert again.model.noise.level == 2  # type: ignore[attr-defined]


class TestHowItShowsItself:
    def test_a_run(self, ae: Trained) -> None:
        page = ae._repr_html_()
        for part in ("vae on digits", "dropout", "bernoulli", "test/mse", "data:image/png;base64,"):
            assert part in page
        assert f"{ae.metrics['test/mse']:.4g}" in page
        assert repr(ae) in page

    def test_what_is_foreign_is_escaped(self, run: Path, tmp_path: Path) -> None:
        place = shutil.copytree(run, tmp_path / "<i>")
        record = (place / "run.json").read_text()
        evil = re.sub(r'"model": "vae"', r'"model": "<script>"', record)
        evil = re.sub(r'"noise": "dropout"', r'"noise": ["<em>", "<u>"]', evil)
        (place / "run.json").write_text(evil)
        (place / "metrics.json").write_text('{"test/mse": 0.5, "test/<s>": 1, "test/kl": null}')
        (place / "figures" / "reconstructions.png").write_text("<img>")
        ae = aecore.load(place, device="cpu")
        page = ae._repr_html_()
        for tag in ("<script>", "<em>", "<u>", "<s>", "<i>", "<img"):
            assert tag not in page
        assert "mlp" in page
        (place / "metrics.json").write_text('{"test/mse": "<p>"}')
        ae = aecore.load(place, device="cpu")
        assert "mlp" in ae._repr_html_()
        with pytest.raises(aecore.UserError, match=r"metrics\.json: damaged"):
            _ = ae.metrics


def test_what_it_is_survives_a_pickle(ae: Trained) -> None:
    again = pickle.loads(pickle.dumps(ae))
    x = images(3, *SHAPE)
    assert torch.equal(again.encode(x), ae.encode(x))


def test_neither_hydra_nor_lightning_comes_in(run: Path) -> None:
    code = f"""
import sys, numpy, aecore
ae = aecore.load({str(run)!r}, device="cpu")
x = numpy.zeros((2, 8, 8))
ae.decode(ae.encode(x)), ae.reconstruct(x), ae.sample(2), ae.score(x), ae.score(x, by="elbo")
ae._repr_html_(), aecore.Autoencoder
found = {{name.partition(".")[0] for name in sys.modules}}
unneeded = {{"hydra", "omegaconf", "pytorch_lightning", "lightning", "onnx", "safetensors"}}
print(found & unneeded)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
