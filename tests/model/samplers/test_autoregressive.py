"""The autoregressive sampler against distributions of indices that are known."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.api.create import create
from aecore.cli import main
from aecore.errors import SkippedError, UserError
from aecore.evaluation.metrics.index_bits import IndexBits
from aecore.model.autoencoder import Autoencoder
from aecore.model.samplers.autoregressive import Autoregression, Autoregressive
from aecore.model.samplers.gaussian import GaussianSampler
from aecore.runs.open import open_run
from aecore.runs.sampler_file import FILE, read_sampler, save_sampler
from helpers.models import gen, model, plain
from helpers.trials import trial

LIKE = torch.zeros(1)
STATES, LENGTH = 5, 12


def sampler(**changes: Any) -> Autoregressive:
    values = {"width": 32, "layers": 1, "epochs": 1, "batch_size": 64, "lr": 1e-2, "images": 100}
    return Autoregressive(**(values | changes))


def with_codebook(size: int = 6, tokens: int = 4, **arguments: Any) -> Autoencoder:
    latent = create("latent=vq", codebook_size=size, dim=3, tokens=tokens)
    return model(latent=latent, **arguments).eval()


def indices(n: int, places: int = 4, entries: int = 6, seed: int = 0) -> Tensor:
    return torch.randint(entries, (n, places), generator=gen(seed))


def transitions(seed: int) -> Tensor:
    """A random matrix of a Markov chain, (STATES, STATES)."""
    return (2 * torch.randn(STATES, STATES, generator=gen(seed), dtype=torch.float64)).softmax(1)


def chains(matrix: Tensor, n: int, seed: int) -> Tensor:
    """Rows (n, LENGTH) of a chain that starts in a uniform state."""
    generator, rows = gen(seed), [torch.randint(STATES, (n,), generator=gen(seed + 1))]
    for _ in range(LENGTH - 1):
        rows.append(torch.multinomial(matrix[rows[-1]], 1, generator=generator)[:, 0])
    return torch.stack(rows, 1)


def entropy(matrix: Tensor) -> float:
    """Of `chains` in nats per index: of the first, and the rate at each state that follows."""
    share, total = torch.full((STATES,), 1 / STATES, dtype=torch.float64), math.log(STATES)
    for _ in range(LENGTH - 1):
        total += float((share * torch.special.entr(matrix).sum(1)).sum())
        share = share @ matrix
    return total / LENGTH


def test_it_reaches_the_entropy_of_markov_chains() -> None:
    """Within 2 %, far below that of its positions alone."""
    matrix = transitions(0)
    fitted = sampler(epochs=8).fit(chains(matrix, 3000, 1), STATES, 0)
    held_out = chains(matrix, 4000, 5)
    with torch.no_grad():
        nats = -float(fitted.log_prob(held_out).mean())
    assert nats == pytest.approx(entropy(matrix), rel=0.02)
    alone = torch.special.entr(held_out.flatten().bincount() / held_out.numel()).sum()
    assert nats < 0.8 * float(alone)
    drawn = fitted.draw(4000, LIKE, gen(7))
    pairs = torch.zeros(STATES, STATES).index_put_(
        (drawn[:, :-1].flatten(), drawn[:, 1:].flatten()), torch.tensor(1.0), accumulate=True
    )
    torch.testing.assert_close(pairs / pairs.sum(1, True), matrix.float(), rtol=0, atol=0.05)


def test_it_reaches_the_entropy_of_each_class() -> None:
    matrices, labels = [transitions(2), transitions(3)], torch.arange(4000) % 2
    rows = torch.empty(4000, LENGTH, dtype=torch.int64)
    for y, matrix in enumerate(matrices):
        rows[labels == y] = chains(matrix, 2000, 10 + y)
    fitted = sampler(epochs=8).fit(rows, STATES, 0, labels, 2)
    for y, matrix in enumerate(matrices):
        held_out = chains(matrix, 4000, 20 + y)
        with torch.no_grad():
            nats = -float(fitted.log_prob(held_out, torch.full((4000,), y)).mean())
        assert nats == pytest.approx(entropy(matrix), rel=0.02)
    drawn = fitted.draw_of(labels, LIKE, gen(1))
    other = fitted.draw(4000, LIKE, gen(1))  # classes in turn
    assert torch.equal(drawn, other)
    for y in range(2):
        own = drawn[labels == y]
        surprise = [-float(m[own[:, :-1], own[:, 1:]].log().mean()) for m in matrices]
        assert surprise[y] < surprise[1 - y]


def test_it_is_a_distribution_and_causal() -> None:
    fitted = sampler(layers=2).fit(indices(60, 3, 4), 4, 0)
    every = torch.tensor([*itertools.product(range(4), repeat=3)])
    with torch.no_grad():
        log_prob = fitted.log_prob(every)
    assert float(log_prob.sum(1).exp().sum()) == pytest.approx(1, abs=1e-5)
    same = every[:, 0] == every[0, 0]  # the first two do not look at the last
    assert log_prob[same, 0].unique().numel() == 1
    torch.testing.assert_close(log_prob[0::4, :2], log_prob[3::4, :2], rtol=0, atol=0)
    drawn = fitted.draw(20_000, LIKE, gen(1)) @ torch.tensor([16, 4, 1])
    share = drawn.bincount(minlength=64) / 20_000
    torch.testing.assert_close(share, log_prob.sum(1).exp(), rtol=0, atol=0.01)


def test_draws_are_decoded_as_entries() -> None:
    for latent in (
        create("latent=residual_vq", levels=3, codebook_size=5, dim=3, tokens=2),
        create("latent=lfq", bits=4, tokens=3),
        create("latent=fsq", levels=[3, 2], tokens=3),
        create("latent=categorical", variables=3, categories=4),
    ):
        whole = model(latent=latent).eval()
        found = trial(whole).indices()
        whole.sampler = sampler().fit(found, whole.latent.codebook_size, 0)  # type: ignore[arg-type]
        assert whole.can_sample
        drawn = whole.sampler.draw(5, LIKE, gen(1))
        assert drawn.dtype == torch.int64 and drawn.shape == (5, found.shape[1])
        expected = whole.decode(whole.latent.decode_indices(drawn))
        assert torch.equal(whole.sample(5, gen(1)), expected)


@pytest.mark.parametrize("classes", [None, 3])
def test_saved_and_read_it_draws_the_same(classes: int | None, tmp_path: Path) -> None:
    path, before = tmp_path / "sampler.ckpt", torch.random.get_rng_state()
    labels = None if classes is None else torch.arange(60) % classes
    fitted, again = (sampler().fit(indices(60), 6, 3, labels, classes) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    whole = with_codebook(classes=classes)
    save_sampler(fitted, path)
    opened = read_sampler(sampler(), path, whole)
    drawn = fitted.draw(7, LIKE, gen(1))
    assert drawn.shape == (7, 4)
    assert torch.equal(drawn, opened.draw(7, LIKE, gen(1)))
    assert torch.equal(drawn, again.draw(7, LIKE, gen(1)))
    assert not torch.equal(drawn, fitted.draw(7, LIKE, gen(2)))
    assert isinstance(opened, Autoregression) and opened.classes == classes
    assert not any(p.requires_grad for p in opened.network.parameters())
    for other in (
        with_codebook(7, classes=classes),
        with_codebook(tokens=5, classes=classes),
        with_codebook(tokens=2, classes=classes),
        with_codebook(classes=2 if classes is None else None),
        model(latent=plain(3), classes=classes),
        model(latent=create("latent=categorical", variables=3, categories=6), classes=classes),
    ):
        with pytest.raises(UserError, match="another model's sampler"):
            read_sampler(sampler(), path, other)
    for changed in (sampler(width=16), sampler(layers=2)):
        with pytest.raises(UserError, match="another model's sampler"):
            read_sampler(changed, path, whole)
    gaussian = GaussianSampler(images=9)
    with pytest.raises(UserError, match="another model's sampler"):
        read_sampler(gaussian, path, whole)
    save_sampler(gaussian.fit(torch.randn(9, 12, generator=gen()), 0), path)
    with pytest.raises(UserError, match="another model's sampler"):
        read_sampler(sampler(), path, whole)


def test_latents_that_it_does_not_support() -> None:
    sampler().check(with_codebook(), 2)
    with pytest.raises(UserError, match=r"sampler=autoregressive: .*codebook\n.*latent=vq"):
        sampler().check(model(latent=plain(3)), 100)
    huge = model(latent=create("latent=lfq", bits=17, tokens=1, entropy=0.0))
    with pytest.raises(UserError, match="131,072 entries is too large"):
        sampler().check(huge, 100)
    with pytest.raises(UserError, match="it needs 2 codes"):
        sampler().check(with_codebook(), 1)


def test_index_bits_against_counting() -> None:
    whole = with_codebook()
    with pytest.raises(SkippedError, match="no sampler=autoregressive"):
        IndexBits()(trial(whole))
    found = trial(whole).indices()
    fitted = sampler().fit(found, 6, 0)
    whole.sampler = fitted
    with torch.no_grad():
        reported = IndexBits()(trial(whole))
        expected = -float(fitted.log_prob(found).double().mean()) / math.log(2)
    assert reported["index_bits"] == pytest.approx(expected, rel=1e-5)
    shares = [column.bincount().double() / len(found) for column in found.T]
    alone = sum(float(torch.special.entr(s).sum()) for s in shares) / 4 / math.log(2)
    assert reported["index_entropy"] == pytest.approx(alone)


@pytest.mark.parametrize("conditional", ["false", "true"])
def test_a_run(conditional: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [
        "model=ae", "latent=residual_vq", "latent.tokens=3", "latent.levels=2",
        "latent.codebook_size=8", "network.hidden=[32]", f"conditional={conditional}",
        "sampler=autoregressive", "sampler.epochs=2", "sampler.width=16", "sampler.images=300",
        "evaluate.metrics=[index_bits,perplexity]", "figures=samples", "logger=none",
        "trainer.max_epochs=2", "hydra.run.dir=run",
    ]  # fmt: skip
    assert main(argv) == 0
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert 0 < metrics["test/index_bits"] < 3.2 and 0 <= metrics["test/index_entropy"] <= 3
    assert Path("run/figures/samples.png").is_file()
    drawn, first = open_run(Path("run")).model().sample(6, gen()), Path("run", FILE).read_bytes()
    Path("run/metrics.json").unlink()
    assert main(["resume=run"]) == 0
    assert Path("run", FILE).read_bytes() == first
    assert json.loads(Path("run/metrics.json").read_text()) == pytest.approx(metrics)
    assert main(["run=run", "task=sample", "sample.n=6", "out=drawn"]) == 0
    assert len([*Path("drawn").rglob("*.png")]) == 7
    assert main(["run=run", "task=export", "out=exported"]) == 0
    again = open_run(Path("exported")).model()
    torch.testing.assert_close(again.sample(6, gen()), drawn, rtol=0, atol=0)


def test_a_continuous_code_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["model=ae", "sampler=autoregressive"]) == 2
    assert "sampler=autoregressive: the codes of this latent" in capsys.readouterr().err
    assert not Path("outputs").exists()
