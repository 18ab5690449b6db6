"""Every compatible pair of options trains; the others are refused, and their list is short."""

from __future__ import annotations

import pytest
import torch

from aecore.cli import main
from aecore.model.autoencoder import Autoencoder
from aecore.tasks.component_pairs import (
    SLOTS,
    PairResults,
    check_pairs,
    options_of,
    pairs,
    summary,
)
from aecore.types import ImageShape
from helpers.component_cover import cover, pairs_in
from helpers.models import adam, gen, images

SHAPE: ImageShape = (1, 8, 8)
STEPS = 2


def train(model: Autoencoder) -> None:
    """Two steps on different images; every one must be a number and move the weights."""
    for penalty in model.penalties.values():
        penalty.attach(48, 1)
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


def test_pairs_train_or_are_refused_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """One test, as all of it is about the same half a minute of trying."""
    assert main(["task=combinations"]) == 0
    printed = capsys.readouterr().out
    found = check_pairs(SHAPE)
    assert set(found.possible) | set(found.refused) == set(pairs())
    assert not set(found.possible) & set(found.refused)
    check_refusals(found, printed)
    used = {option for pair in found.possible for option in pair}
    assert used == {(slot, name) for slot in SLOTS for name in options_of(slot)}
    check_training(found)


def check_refusals(found: PairResults, printed: str) -> None:
    """Each has a problem and a hint, and the list of them is short."""
    for pair, error in found.refused.items():
        assert len(str(error).splitlines()) <= 3, (pair, error)
        assert error.hint, f"{pair}: {error} has no hint"
    reasons = summary(found.refused)
    assert len(reasons) <= 40
    assert not any("=" in lines.partition("because ")[2].partition(" ")[0] for lines in reasons)
    assert all(lines in printed for lines in reasons)
    total = len(found.possible) + len(found.refused)
    assert f"{len(found.possible)} of {total} pairs of options are compatible" in printed


def check_training(found: PairResults) -> None:
    """Candidates that cover every possible pair, far fewer than pairs; each is trained."""
    candidates = cover(found, SHAPE)
    covered = set()
    for candidate in candidates:
        try:
            train(candidate.experiment.components.autoencoder(SHAPE))
        except Exception as error:
            error.add_note(f"{candidate.preset}: {candidate.chosen}")
            raise
        covered |= {*pairs_in(candidate)}
    assert covered >= set(found.possible)
    assert len(candidates) < len(found.possible) / 3
