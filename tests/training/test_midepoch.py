"""A run killed within an epoch goes on from there and ends as if nothing had been."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from aecore.data.module import ImageData
from aecore.errors import NonFiniteError
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.noises import GaussianNoise
from aecore.model.passes import Pass
from aecore.model.penalties.kl import KL
from aecore.runs.checkpoint import BEST, LAST, PREVIOUS, load
from aecore.training.callbacks.checkpoint import AtomicIO
from aecore.training.callbacks.early_stopping import ResumableEarlyStopping
from aecore.training.module import EPOCH_PROGRESS, StoppedError
from aecore.training.optimizers.schedulers import Constant, Cosine, Plateau, Schedule
from aecore.training.resume import ResumePoint
from aecore.training.signals import deferred, listening
from helpers.checkpoints import Break, Broken, checkpointed, continued, read, same_checkpoint
from helpers.models import adam, conv, data, gaussian, images, model
from helpers.training_loop import equal, noisy_vae

EPOCHS = 3


def drawn(chunk: int = 1, val_size: int = 11, **changes: Any) -> ImageData:
    """42 images to train on: five batches of 8 and one of 2, drawn anew in each epoch."""
    x = images(42 + val_size, 1, 4, 4, seed=9)
    return data(x, val_size=val_size, chunk=chunk, binarise="sample", **changes)


def normed(seed: int = 0) -> Autoencoder:
    """Convolutions with batch norm, dropout layers, noise and a Gaussian code."""
    return model(
        seed=seed,
        network=conv(3, norm="batch", dropout=0.2),
        latent=gaussian(3),
        noise=GaussianNoise(std=0.2),
        penalties={"kl": KL()},
    )


def folders(path: Path) -> tuple[Path, Path]:
    """Of the run that goes through, and of the one that is broken off."""
    found = path / "whole", path / "parts"
    for folder in found:
        folder.mkdir()
    return found


def same(whole: Path, parts: Path, best: bool = True) -> None:
    """Both runs left the same checkpoints and the same history but for its times."""
    for name in (LAST, *([BEST] if best else [])):
        same_checkpoint(whole / name, parts / name)
    rows = [read(folder) for folder in (whole, parts)]
    for row in (*rows[0], *rows[1]):
        assert float(row.pop("seconds")) > 0
    assert rows[0] == rows[1] and len(rows[0]) > 1


class Mayfly(Callback):
    """Ends a run as its second chunk begins."""

    def __init__(self) -> None:
        self.chunks = 0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.chunks == 1:
            raise Broken
        self.chunks += 1


class Dusk(Callback):
    """Ends a run as it validates, or as that epoch has ended but is not yet saved."""

    def __init__(self, hook: str) -> None:
        self.hook = hook

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (trainer.current_epoch, self.hook) == (1, "validation"):
            raise Broken

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (trainer.current_epoch, self.hook) == (1, "end"):
            raise Broken


class TestKilledWithinAnEpoch:
    @pytest.mark.parametrize("at", [0, 1, 2])
    @pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5])
    def test_the_end_is_the_same(self, tmp_path: Path, at: int, chunk: int) -> None:
        whole, parts = folders(tmp_path)
        through, first, second = noisy_vae(), noisy_vae(), noisy_vae(seed=8)
        options: dict[str, Any] = {"schedule": Cosine(final=0.0), "log_every": 4}
        checkpointed(through, whole, EPOCHS, module=drawn(), **options)
        options["minutes"] = 0
        with pytest.raises(Broken):
            broken = (Break(at, chunk),)
            checkpointed(first, parts, EPOCHS, module=drawn(), callbacks=broken, **options)
        found = load(parts / LAST)
        assert (found["epoch"], found[EPOCH_PROGRESS]["chunks"]) == (at, chunk)
        assert found["step"] == 6 * at + chunk
        assert not ResumePoint(parts / LAST, found).is_complete(EPOCHS)
        training = checkpointed(second, parts, EPOCHS, module=drawn(), resume=True, **options)
        assert training.step == 18 and equal(through.state_dict(), second.state_dict())
        same(whole, parts)
        assert ResumePoint(parts / LAST, load(parts / LAST)).is_complete(EPOCHS)

    @pytest.mark.parametrize("hook", ["validation", "end"])
    def test_after_the_last_chunk(self, tmp_path: Path, hook: str) -> None:
        whole, parts = folders(tmp_path)
        checkpointed(noisy_vae(), whole, EPOCHS, module=drawn(2))
        with pytest.raises(Broken):
            broken = (Dusk(hook),)
            checkpointed(noisy_vae(), parts, EPOCHS, module=drawn(2), callbacks=broken, minutes=0)
        assert load(parts / LAST)[EPOCH_PROGRESS]["chunks"] == 2
        checkpointed(noisy_vae(8), parts, EPOCHS, module=drawn(2), minutes=0, resume=True)
        same(whole, parts)

    @pytest.mark.parametrize("make", [noisy_vae, normed])
    @pytest.mark.parametrize(
        ("val_size", "schedule"),
        [(0, Constant()), (11, Constant()), (11, Plateau(patience=0, factor=0.5))],
        ids=["no validation", "constant", "plateau"],
    )
    def test_a_life_of_one_chunk_after_another(
        self, tmp_path: Path, make: Any, val_size: int, schedule: Schedule
    ) -> None:
        whole, parts = folders(tmp_path)
        options: dict[str, Any] = {"schedule": schedule, "optimizer": adam(0.3)}
        checkpointed(make(), whole, EPOCHS, module=drawn(2, val_size), **options)
        lives = 0
        while lives == 0 or not ResumePoint(parts / LAST, load(parts / LAST)).is_complete(EPOCHS):
            lives += 1
            try:
                checkpointed(
                    make(lives - 1), parts, EPOCHS, module=drawn(2, val_size), minutes=0,
                    resume=lives > 1, callbacks=(Mayfly(),), **options,
                )  # fmt: skip
            except Broken:
                continue
        assert lives == 3 * EPOCHS
        same(whole, parts, best=val_size > 0)

    def test_early_stopping_goes_on_waiting(self, tmp_path: Path) -> None:
        def stopping() -> ResumableEarlyStopping:
            return ResumableEarlyStopping(
                monitor="val/loss", patience=4, min_delta=1e3, check_on_train_epoch_end=True
            )

        whole, parts = folders(tmp_path)
        checkpointed(noisy_vae(), whole, 20, callbacks=(stopping(),))
        with pytest.raises(Broken):
            broken = (stopping(), Break(3, 2))
            checkpointed(noisy_vae(), parts, 20, module=drawn(2), callbacks=broken, minutes=0)
        checkpointed(noisy_vae(8), parts, 20, module=drawn(2), callbacks=(stopping(),), resume=True)
        found = load(parts / LAST)
        assert found["epoch"] == 4 and ResumePoint(parts / LAST, found).is_complete(20)


class Signalling(KL):
    """Sends its process SIGTERM at a forward pass, of training or of validation."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def forward(self, p: Pass) -> Tensor:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        self.left -= 1
        return super().forward(p)


class TestASignal:
    """It is noted at once, and the state is saved after that very mini-batch."""

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("chunk", [1, 4, 6])
    def test_the_end_is_the_same_wherever_it_comes(self, tmp_path: Path, chunk: int) -> None:
        options: dict[str, Any] = {"schedule": Cosine(final=0.0), "log_every": 4}

        def module() -> ImageData:
            """Six mini-batches to train on, three to validate, each with two losses."""
            return drawn(chunk, eval_batch_size=4)

        whole = tmp_path / "whole"
        whole.mkdir()
        through = noisy_vae()
        checkpointed(through, whole, 2, module=module(), **options)
        for at in range(24):
            parts = tmp_path / str(at)
            parts.mkdir()
            with listening(), pytest.raises(StoppedError), deferred():
                checkpointed(
                    noisy_vae(penalty=Signalling(at)), parts, 2, module=module(), **options
                )
            found = load(parts / LAST)
            epoch, step = divmod(at, 12)
            assert found["step"] == 6 * epoch + min(step + 1, 6)
            assert not ResumePoint(parts / LAST, found).is_complete(2)
            second = noisy_vae(seed=8)
            checkpointed(second, parts, 2, module=module(), resume=True, **options)
            assert equal(through.state_dict(), second.state_dict())
            same(whole, parts)

    def test_one_mini_batch_after_another(self, tmp_path: Path) -> None:
        whole, parts = folders(tmp_path)
        checkpointed(noisy_vae(), whole, 2, module=drawn(4))
        for life in range(6):
            with listening(), pytest.raises(StoppedError), deferred():
                checkpointed(
                    noisy_vae(penalty=Signalling(0)), parts, 2, module=drawn(4), resume=life > 0
                )
            assert load(parts / LAST)["step"] == life + 1
        checkpointed(noisy_vae(), parts, 2, module=drawn(4), resume=True)
        same(whole, parts)


class TestWhatIsSaved:
    @pytest.mark.parametrize("minutes", [None, 1000])
    def test_nothing_within_an_epoch_before_its_time(
        self, tmp_path: Path, minutes: float | None
    ) -> None:
        with pytest.raises(Broken):
            broken = (Break(1, 5),)
            checkpointed(
                noisy_vae(), tmp_path, 2, module=drawn(), callbacks=broken, minutes=minutes
            )
        found = load(tmp_path / LAST)
        assert found["epoch"] == 0 and EPOCH_PROGRESS not in found
        assert not (tmp_path / PREVIOUS).exists()

    def test_the_best_is_that_of_an_epoch_s_end(self, tmp_path: Path) -> None:
        with pytest.raises(Broken):
            broken = (Break(1, 5),)
            checkpointed(noisy_vae(), tmp_path, 2, module=drawn(), callbacks=broken, minutes=0)
        assert EPOCH_PROGRESS not in load(tmp_path / BEST) and load(tmp_path / BEST)["step"] == 6
        assert [load(tmp_path / name)["step"] for name in (PREVIOUS, LAST)] == [10, 11]

    def test_a_damaged_one_gives_way_to_the_chunk_before(self, tmp_path: Path) -> None:
        whole, parts = folders(tmp_path)
        checkpointed(noisy_vae(), whole, 2, module=drawn())
        with pytest.raises(Broken):
            broken = (Break(1, 4),)
            checkpointed(noisy_vae(), parts, 2, module=drawn(), callbacks=broken, minutes=0)
        (parts / LAST).write_bytes((parts / LAST).read_bytes()[:1000])
        found = continued(parts, drawn())
        assert found is not None and found.checkpoint[EPOCH_PROGRESS]["chunks"] == 3
        (parts / PREVIOUS).replace(parts / LAST)
        checkpointed(noisy_vae(8), parts, 2, module=drawn(), resume=True)
        same(whole, parts)

    def test_never_weights_that_are_no_numbers(self, tmp_path: Path) -> None:
        class Poison(Callback):
            def on_train_batch_end(
                self, trainer: Trainer, pl_module: LightningModule, *rest: Any
            ) -> None:
                if (trainer.current_epoch, rest[-1]) == (1, 2):
                    with torch.no_grad():
                        next(pl_module.parameters()).fill_(float("nan"))

        with pytest.raises(NonFiniteError, match="the weights became NaN or infinite at step 9\n"):
            checkpointed(noisy_vae(), tmp_path, 2, module=drawn(), callbacks=(Poison(),), minutes=0)
        found = load(tmp_path / LAST)
        assert found["step"] == 8 and bool(
            torch.stack([v.isfinite().all() for v in found["state_dict"].values()]).all()
        )

    def test_the_seconds_before_count(self, tmp_path: Path) -> None:
        with pytest.raises(Broken):
            broken = (Break(1, 4),)
            checkpointed(noisy_vae(), tmp_path, 3, module=drawn(), callbacks=broken, minutes=0)
        found = load(tmp_path / LAST)
        (history,) = (s for s in found["callbacks"].values() if "rows" in s)
        history["seconds"] += 5000.0
        AtomicIO().save_checkpoint(found, tmp_path / LAST)
        checkpointed(noisy_vae(), tmp_path, 3, module=drawn(), resume=True)
        assert [float(row["seconds"]) > 5000 for row in read(tmp_path)] == [False, True, False]

    def test_on_another_number_of_devices_it_draws_anew(self, tmp_path: Path) -> None:
        """Draws of two ranks are of no use to one; those that were made are not made again."""
        whole, parts = folders(tmp_path)
        through, second, third = noisy_vae(), noisy_vae(8), noisy_vae(9)
        checkpointed(through, whole, 1, module=drawn())
        with pytest.raises(Broken):
            broken = (Break(0, 4),)
            checkpointed(noisy_vae(), parts, 1, module=drawn(), callbacks=broken, minutes=0)
        found = load(parts / LAST)
        progress = found[EPOCH_PROGRESS]
        progress["generators"] = [state.repeat(2, 1) for state in progress["generators"]]
        for whichever in (second, third):
            AtomicIO().save_checkpoint(found, parts / LAST)
            training = checkpointed(whichever, parts, 1, module=drawn(), resume=True)
            assert training.step == 6
        assert equal(second.state_dict(), third.state_dict())
        assert not equal(through.state_dict(), second.state_dict())
