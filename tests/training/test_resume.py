"""Resuming a training against going on with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aecore.runs.checkpoint import BEST, LAST, load
from aecore.training.callbacks.checkpoint import AtomicIO
from aecore.training.callbacks.early_stopping import ResumableEarlyStopping
from aecore.training.optimizers.gradient import SGD
from aecore.training.optimizers.schedulers import Constant, Cosine, Plateau, Schedule, Step
from helpers.checkpoints import Break, Broken, checkpointed, read, same_checkpoint
from helpers.models import adam
from helpers.training_loop import equal, noisy_vae


class TestResume:
    @pytest.mark.parametrize(
        "schedule",
        [Constant(), Plateau(patience=0, factor=0.5), Step(epochs=3, factor=0.1)],
        ids=type,
    )
    def test_is_going_on(self, tmp_path: Path, schedule: Schedule) -> None:
        through, first, second = noisy_vae(), noisy_vae(), noisy_vae(seed=8)
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        descent = adam(0.3)  # large, so that the plateau is met
        checkpointed(through, whole, 6, schedule=schedule, optimizer=descent)
        checkpointed(first, parts, 3, schedule=schedule, optimizer=descent)
        assert not equal(first.state_dict(), through.state_dict())
        training = checkpointed(second, parts, 6, schedule=schedule, optimizer=descent, resume=True)
        assert equal(through.state_dict(), second.state_dict())
        assert training.step == 30 and load(parts / LAST)["step"] == 30
        same_checkpoint(whole / LAST, parts / LAST)
        same_checkpoint(whole / BEST, parts / BEST)
        rows = [read(folder) for folder in (whole, parts)]
        for row in (*rows[0], *rows[1]):
            del row["seconds"]
        assert rows[0] == rows[1] and len(rows[0]) == 6
        if not isinstance(schedule, Constant):
            assert float(rows[0][-1]["lr"]) < 0.3

    def test_cosine_knows_its_last_epoch(self, tmp_path: Path) -> None:
        """A cosine is made for a number of epochs: interrupted, not shortened, it goes on."""
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        through, first, second = noisy_vae(), noisy_vae(), noisy_vae(seed=8)
        checkpointed(through, whole, 6, schedule=Cosine(final=0.0))
        with pytest.raises(Broken):
            checkpointed(first, parts, 6, schedule=Cosine(final=0.0), callbacks=(Break(at=3),))
        assert load(parts / LAST)["epoch"] == 2
        checkpointed(second, parts, 6, schedule=Cosine(final=0.0), resume=True)
        same_checkpoint(whole / LAST, parts / LAST)

    def test_early_stopping_goes_on_waiting(self, tmp_path: Path) -> None:
        """Patience 4 that is spent half before and half after the break."""

        def stopping() -> ResumableEarlyStopping:
            return ResumableEarlyStopping(
                monitor="val/loss", patience=4, min_delta=1e3, check_on_train_epoch_end=True
            )

        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        checkpointed(noisy_vae(), whole, 20, callbacks=(stopping(),))
        checkpointed(noisy_vae(), parts, 3, callbacks=(stopping(),))
        checkpointed(noisy_vae(8), parts, 20, callbacks=(stopping(),), resume=True)
        assert load(whole / LAST)["epoch"] == load(parts / LAST)["epoch"] == 4
        same_checkpoint(whole / LAST, parts / LAST)
        assert [state["stopped"] for state in load(parts / LAST)["callbacks"].values()
                if "stopped" in state] == [True]  # fmt: skip

    def test_the_best_score_is_remembered(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 3)
        best = (tmp_path / BEST).read_bytes()
        blown = SGD(lr=5.0, momentum=0.0, nesterov=False, weight_decay=0.0)
        state = load(tmp_path / LAST)
        state["optimizer_states"] = [{"state": {}, "param_groups": [
            {**blown(noisy_vae().parameters()).state_dict()["param_groups"][0]}]}]  # fmt: skip
        AtomicIO().save_checkpoint(state, tmp_path / LAST)
        checkpointed(noisy_vae(), tmp_path, 4, optimizer=blown, clip=1.0, resume=True)
        rows = read(tmp_path)
        assert float(rows[3]["val/loss"]) > min(float(row["val/loss"]) for row in rows[:3])
        assert (tmp_path / BEST).read_bytes() == best
