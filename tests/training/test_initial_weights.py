"""`init_from` copies what means the same, and names the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aecore.cli import main
from aecore.runs.open import open_run

SMALL = [
    "dataset=digits", "network=mlp", "network.hidden=[8]", "latent.dim=3", "figures=none",
    "trainer.max_epochs=1", "dataset.train_size=300",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: str, *overrides: str) -> Any:
    """A run whose learning rate is so small that its weights stay where they began."""
    still = ["optimizer.lr=1e-12"] if "init_from=a" in overrides else []
    assert main([*SMALL, *still, f"hydra.run.dir={name}", *overrides]) == 0
    return open_run(name).model()


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line.partition("init_from: ")[2] for line in lines if "init_from: " in line]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.allclose(x, y, atol=1e-6) for x, y in pairs)


GAUSSIAN = ["model=vae", "reconstruction=gaussian"]


@pytest.mark.parametrize(
    ("before", "now", "variance"),
    [("0.1", "1.0", 1.0), ("learned", "0.5", 0.25), ("0.1", "learned", 1.0)],
)
def test_a_scale_is_that_of_the_new_run(
    before: str, now: str, variance: float, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = "reconstruction.gaussian.scale"
    first = run("a", *GAUSSIAN, f"{scale}={before}", "trainer.max_epochs=3")
    capsys.readouterr()
    second = run("b", *GAUSSIAN, f"{scale}={now}", "init_from=a")
    assert second.reconstruction.variance == pytest.approx(variance, rel=1e-3)
    assert same(first.encoder, second.encoder) and same(first.decoder, second.decoder)
    told = ["the parameters of reconstruction are not copied: it differs"]
    assert notes(capsys) == (told if "learned" in (before, now) else [])


def test_a_learned_scale_is_copied_where_it_is_learned_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    learned = [*GAUSSIAN, "reconstruction.gaussian.scale=learned"]
    first = run("a", *learned, "trainer.max_epochs=3", "optimizer.lr=0.01")
    capsys.readouterr()
    second = run("b", *learned, "init_from=a", "penalty.kl.weight=2")
    assert second.reconstruction.variance == pytest.approx(first.reconstruction.variance, rel=1e-5)
    assert first.reconstruction.variance < 0.9
    assert notes(capsys) == []


def test_statistics_are_those_of_the_new_data(capsys: pytest.CaptureFixture[str]) -> None:
    standardised = ["model=ae", "dataset.range=standardised"]
    first = run("a", *standardised)
    capsys.readouterr()
    second = run(
        "b", *standardised, "init_from=a", "dataset.classes=[1,7]", "dataset.train_size=null"
    )
    alone = run("c", *standardised, "dataset.classes=[1,7]", "dataset.train_size=null")
    assert torch.equal(second.shift, alone.shift) and not torch.equal(second.shift, first.shift)
    (note,) = notes(capsys)
    assert note.startswith("images are standardised by the statistics of these training images")
    run("d", "model=ae", "init_from=a")
    assert notes(capsys) == ["dataset.range=standardised in that run, unit here"]


def test_a_critic_of_its_own_and_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    first = run("a", "model=ae")
    capsys.readouterr()
    words = ["model=ae", "penalty=adversarial", "network.activation=tanh", "init_from=a"]
    second = run("b", *words)
    assert same(first.encoder, second.encoder)
    assert notes(capsys) == [
        "the parameters of penalty.adversarial are not copied: it differs",
        "network.activation=relu in that run, tanh here",
    ]


def test_terms_beside_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A term that learns nothing is of its own data; a critic is copied with equal options."""
    first = run("a", "model=ae")
    capsys.readouterr()
    term = "reconstruction=[mse,perceptual,adversarial]"
    second = run("b", "model=ae", term, "init_from=a")
    assert same(first.encoder, second.encoder) and same(first.decoder, second.decoder)
    assert notes(capsys) == [
        "the parameters of reconstruction.adversarial are not copied: it differs"
    ]
    still, weight = "optimizer.lr=1e-12", "reconstruction.adversarial.weight=0.5"
    lr, few = "reconstruction.adversarial.critic_lr=1e-12", "dataset.train_size=100"
    third = run("c", "model=ae", term, "init_from=b", still, weight, lr, few)
    alone = run("d", "model=ae", term, still, few)
    assert notes(capsys) == []
    terms = [model.penalty_modules for model in (second, third, alone)]
    assert same(terms[0]["adversarial_loss"], terms[1]["adversarial_loss"])
    assert same(terms[1]["perceptual_loss"], terms[2]["perceptual_loss"])
    assert not same(terms[0]["perceptual_loss"], terms[1]["perceptual_loss"])
    last = run("e", "model=ae", "init_from=c", still)
    assert same(third.encoder, last.encoder)
    assert notes(capsys) == [
        "the parameters of reconstruction.adversarial are not copied: it differs"
    ]


@pytest.mark.parametrize("tops", [(40.0, 90.0), (40.0, 1.0), (1.0, 40.0)])
def test_limits_are_those_of_the_new_data(tops: tuple[float, float]) -> None:
    x = np.random.default_rng(0).random((40, 8, 8))
    for name, top in zip("ab", tops, strict=True):
        np.save(f"{name}.npy", top * x)
    words = ["model=ae", "dataset=arrays", "dataset.range=standardised", "dataset.train_size=null"]
    run("a", *words, "dataset.path=a.npy")
    found = run("b", *words, "dataset.path=b.npy", "init_from=a")
    alone = run("c", *words, "dataset.path=b.npy")
    assert (alone.limits is None) == (tops[1] == 1)
    assert found.limits is None if alone.limits is None else torch.equal(found.limits, alone.limits)


def test_another_latent_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run("a", "model=ae")
    assert main([*SMALL, "model=vae", "init_from=a", "hydra.run.dir=b"]) == 2
    assert not Path("b").exists()
    assert "weights of another" in capsys.readouterr().err


def test_a_checkpoint_is_the_one_that_is_named() -> None:
    run("a", "model=ae", "trainer.max_epochs=4", "optimizer=sgd", "optimizer.lr=0.05",
        "optimizer.momentum=0.9")  # fmt: skip
    copied = run("b", "model=ae", "init_from=a/checkpoints/best.ckpt")
    named = open_run("a/checkpoints/best.ckpt").model()
    last = open_run("a/checkpoints/last.ckpt").model()
    assert same(copied.encoder, named.encoder) and not same(named.encoder, last.encoder)
