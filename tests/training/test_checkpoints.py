"""Checkpoints: what they hold, foreign files, and none after a bad loss."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from aecore.errors import NonFiniteError, UserError
from aecore.runs.checkpoint import BEST, LAST, PREVIOUS, load
from aecore.training.callbacks.checkpoint import AtomicIO
from aecore.training.finite import check_finite
from aecore.training.optimizers.gradient import SGD
from aecore.training.optimizers.schedulers import Plateau
from helpers.checkpoints import checkpointed, continued, read
from helpers.models import data, fit, mlp, model
from helpers.pickles import Bomb
from helpers.training_loop import X, equal, noisy_vae, single_steps


class TestCheckpoints:
    def test_hold_tensors_and_plain_values(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 2, schedule=Plateau(patience=1, factor=0.5))
        for name in (LAST, PREVIOUS, BEST):
            found = torch.load(tmp_path / name, weights_only=True)
            assert found["epoch"] == (0 if name == PREVIOUS else found["epoch"])
        assert load(tmp_path / LAST)["epoch"] == 1 and load(tmp_path / LAST)["step"] == 10
        assert {p.name for p in tmp_path.iterdir()} == {LAST, PREVIOUS, BEST, "history.csv"}

    def test_best_is_where_validation_was_lowest(self, tmp_path: Path) -> None:
        blown = SGD(lr=0.2, momentum=0.95, nesterov=False, weight_decay=0.0)
        checkpointed(noisy_vae(), tmp_path, 8, optimizer=blown, clip=1.0)
        losses = [float(row["val/loss"]) for row in read(tmp_path)]
        best = load(tmp_path / BEST)
        assert best["epoch"] == losses.index(min(losses))

    def test_weights_are_those_of_the_model(self, tmp_path: Path) -> None:
        whole = noisy_vae()
        checkpointed(whole, tmp_path, 2)
        state = load(tmp_path / LAST)["state_dict"]
        assert equal(state, {f"autoencoder.{k}": v for k, v in whole.state_dict().items()})

    def test_without_validation_there_is_no_best(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 2, module=data(X))
        assert not (tmp_path / BEST).exists() and (tmp_path / LAST).exists()

    def test_the_newest_readable_is_used(self, tmp_path: Path) -> None:
        assert continued(tmp_path) is None
        checkpointed(noisy_vae(), tmp_path, 2)
        content = (tmp_path / LAST).read_bytes()
        found = continued(tmp_path)
        assert found is not None and found.path.name == LAST and found.step == 10
        for size in (0, 1, 100, len(content) - 1):
            os.truncate(tmp_path / LAST, size)
            found = continued(tmp_path)
            assert found is not None and found.path.name == PREVIOUS and found.step == 5
            (tmp_path / LAST).unlink()
            (tmp_path / LAST).write_bytes(content)
        os.truncate(tmp_path / LAST, 10)
        os.truncate(tmp_path / PREVIOUS, 10)
        with pytest.raises(UserError, match=str(tmp_path / LAST)):
            continued(tmp_path)

    def test_last_is_enough(self, tmp_path: Path) -> None:
        checkpointed(noisy_vae(), tmp_path, 2)
        (tmp_path / LAST).unlink()
        found = continued(tmp_path)
        assert found is not None and found.path.name == PREVIOUS and found.checkpoint["epoch"] == 0

    def test_a_failing_write_leaves_what_was_there(self, tmp_path: Path) -> None:
        io = AtomicIO()
        io.save_checkpoint({"state_dict": {}, "step": 1, "epoch": 0}, tmp_path / LAST)
        with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
            io.save_checkpoint({"state_dict": {}, "step": 2, "bad": lambda: 0}, tmp_path / LAST)
        assert load(tmp_path / LAST)["step"] == 1
        assert [p.name for p in tmp_path.iterdir()] == [LAST]


class TestForeignFiles:
    @pytest.mark.parametrize(
        "kind",
        ["pickle", "torch", "empty", "text", "zip", "tensors", "list", "lightning", "folder"],
    )
    def test_are_refused_and_not_run(self, tmp_path: Path, kind: str) -> None:
        path, mark = tmp_path / LAST, tmp_path / "executed"
        if kind == "pickle":
            path.write_bytes(pickle.dumps(Bomb(mark)))
        elif kind == "torch":
            torch.save({"state_dict": {}, "step": 1, "epoch": 1, "x": Bomb(mark)}, path)
        elif kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", pickle.dumps(Bomb(mark)))
        elif kind == "tensors":
            torch.save({"weight": torch.zeros(3)}, path)
        elif kind == "list":
            torch.save([torch.zeros(3)], path)
        elif kind == "lightning":
            torch.save({"state_dict": {}, "epoch": 1, "global_step": 3, "loops": {}}, path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"" if kind == "empty" else b"no checkpoint at all\n")
        with pytest.raises(UserError) as raised:
            load(path)
        assert str(raised.value).startswith(str(path)) and str(raised.value).count("\n") <= 2
        assert not mark.exists()
        if kind != "folder":
            with pytest.raises(UserError, match=str(path)):
                fit(noisy_vae(), data(X), epochs=1, ckpt_path=path)
        assert not mark.exists()

    def test_a_missing_one(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no such checkpoint"):
            load(tmp_path / LAST)


class Poison(Callback):
    """Makes one weight NaN as a step or an epoch begins or ends."""

    def __init__(self, epoch: int, when: str) -> None:
        self.epoch, self.when = epoch, when

    def _act(self, trainer: Trainer, pl_module: LightningModule, when: str) -> None:
        if (trainer.current_epoch, when) == (self.epoch, self.when):
            with torch.no_grad():
                next(pl_module.parameters()).fill_(float("nan"))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._act(trainer, pl_module, "start")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._act(trainer, pl_module, f"after {batch_idx}")


class TestNonFinite:
    def test_names_the_first_bad_step(self) -> None:
        """With this rate errors grow without end; the plain loop says when they are no numbers."""
        blown = SGD(lr=0.12, momentum=0.0, nesterov=False, weight_decay=0.0)
        slow, fast = model(network=mlp(activation=None)), model(network=mlp(activation=None))
        steps = single_steps(slow, 40, optimizer=blown)
        first = next(i for i, s in enumerate(steps) if not math.isfinite(s["loss"])) + 1
        assert first > 3  # not in the first chunk
        with pytest.raises(NonFiniteError) as raised:
            fit(fast, data(X, chunk=3), epochs=40, optimizer=blown)
        value = "NaN" if math.isnan(steps[first - 1]["reconstruction"]) else "infinite"
        assert str(raised.value).startswith(f"reconstruction became {value} at step {first}\n")

    def test_names_the_term(self) -> None:
        rows = torch.tensor([[1.0, 1.0, 1.0], [3.0, 1.0, 2.0], [float("inf"), 1.0, float("inf")]])
        with pytest.raises(NonFiniteError, match=r"^kl became infinite at step 13\n"):
            check_finite(rows.numpy(), ["loss", "reconstruction", "kl"], 10)
        rows[1] = torch.tensor([float("nan"), float("nan"), 1.0])
        with pytest.raises(NonFiniteError, match=r"^reconstruction became NaN at step 12\n"):
            check_finite(rows.numpy(), ["loss", "reconstruction", "kl"], 10)
        check_finite(rows[:1].numpy(), ["loss", "reconstruction", "kl"], 10)

    def test_an_infinite_pixel(self) -> None:
        x = X.clone()
        x[3, 0, 1, 1] = float("inf")
        with pytest.raises(NonFiniteError, match=r"^reconstruction became"):
            fit(model(), data(x, range="standardised"), epochs=1)

    @pytest.mark.parametrize("validate", [True, False])
    @pytest.mark.parametrize("when", ["start", "after 1", "after 2"])
    def test_no_checkpoint_is_written_after_it(
        self, tmp_path: Path, when: str, validate: bool
    ) -> None:
        """`after 2` is the last chunk of an epoch: its own losses were all finite."""
        module = data(X, val_size=10 if validate else 0, chunk=2 if validate else 3)
        assert len(module.train_dataloader()) == 3
        with pytest.raises(NonFiniteError, match="became"):
            checkpointed(noisy_vae(), tmp_path, 4, module=module, callbacks=(Poison(2, when),))
        for name, epoch in ((LAST, 1), (PREVIOUS, 0)):
            found = load(tmp_path / name)
            assert found["epoch"] == epoch
            assert all(bool(v.isfinite().all()) for v in found["state_dict"].values())
