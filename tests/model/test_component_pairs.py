"""Every two words that can go together do train; the others are refused, and the list is short."""

from __future__ import annotations

import pytest
import torch

from aecore.cli import main
from aecore.model.autoencoder import Autoencoder
from aecore.tasks.component_pairs import (
    SLOTS,
    PairResults,
    combinations,
    cover,
    names_of,
    pairs,
    summary,
)
from aecore.types import ImageShape
from helpers.models import adam, gen, images

SHAPE: ImageShape = (1, 8, 8)
STEPS = 3


def train(model: Autoencoder) -> None:
    """Three steps on different images; every one must be a number and move the weights."""
    for penalty in model.penalties.values():
        penalty.attach(48)
    groups = model.parameter_groups()
    optimizer = adam()(groups)
    weights = [p for group in groups for p in group["params"]]
    for step in range(STEPS):
        x = images(16, *SHAPE, seed=step)
        terms = model.terms(x, gen(step), epoch=step / STEPS, noisy=True)
        loss = sum(terms.critics.values(), terms.loss)
        assert torch.isfinite(loss)
        before = [p.detach().clone() for p in weights]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert all(bool(p.isfinite().all()) for p in weights)
        assert any(not torch.equal(a, b) for a, b in zip(before, weights, strict=True))


def test_words_go_together_or_say_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    """One test, as all of it is about the same half a minute of trying."""
    assert main(["task=combinations"]) == 0
    printed = capsys.readouterr().out
    found = combinations(SHAPE)
    assert set(found.possible) | set(found.refused) == set(pairs())
    assert not set(found.possible) & set(found.refused)
    check_refusals(found, printed)
    used = {word for pair in found.possible for word in pair}
    assert used == {(slot, name) for slot in SLOTS for name in names_of(slot)}
    check_training(found)


def check_refusals(found: PairResults, printed: str) -> None:
    """Each has a reason with its mend, and the list of them is short."""
    for pair, reason in found.refused.items():
        assert len(reason.splitlines()) <= 3, (pair, reason)
        assert "\n  " in reason, f"{pair}: {reason!r} does not say the mend"
    told = summary(found.refused)
    assert len(told) <= 40
    assert all(lines in printed for lines in told)
    total = len(found.possible) + len(found.refused)
    assert f"{len(found.possible)} of {total} pairs of words go together" in printed


def check_training(found: PairResults) -> None:
    """Sentences that say every possible pair, far fewer than pairs; each is trained."""
    sentences = cover(found, SHAPE)
    said = set()
    for sentence in sentences:
        try:
            train(sentence.experiment.components.autoencoder(SHAPE))
        except Exception as error:
            error.add_note(f"{sentence.preset}: {sentence.chosen}")
            raise
        chosen = [(slot, sentence.chosen[slot]) for slot in SLOTS]
        said |= {(a, b) for i, a in enumerate(chosen) for b in chosen[i + 1 :]}
    assert said >= set(found.possible)
    assert len(sentences) < len(found.possible) / 3
