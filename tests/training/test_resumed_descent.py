"""Killed and resumed: augmented, accumulated, warmed up, averaged and scaled trainings."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from aecore.data.augmentations.base import Augment
from aecore.data.augmentations.erase import Erase
from aecore.data.augmentations.shift import Translate
from aecore.data.module import ImageData
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.penalties.adversarial import AdversarialPenalty
from aecore.model.penalties.weight import Weight
from aecore.runs.checkpoint import BEST, LAST, load
from aecore.training.averaging import TRAINED
from aecore.training.callbacks.checkpoint import AtomicIO
from aecore.training.module import EPOCH_PROGRESS, StoppedError
from aecore.training.optimizers.by_name import Torch
from aecore.training.optimizers.schedulers import Cosine
from aecore.training.signals import deferred, listening
from helpers.checkpoints import Break, Broken, checkpointed, read, same_checkpoint
from helpers.models import data, images, mlp, model
from helpers.training_loop import noisy_vae

ERASE = Erase(p=0.5, area=[0.1, 0.4], ratio=[0.5, 2.0], value=0.0)
AUGMENT = Augment({"shift": Translate(pixels=1, padding="edge"), "erase": ERASE})
ALL: dict[str, Any] = {
    "augment": AUGMENT, "accumulate": 2, "warmup": 1.4, "ema": 0.8, "clip": 0.5,
    "schedule": Cosine(final=0.0),
}  # fmt: skip


def late_critic(seed: int = 0) -> Autoencoder:
    """With a critic that has no gradient in the first epoch."""
    penalty = AdversarialPenalty(units=4, layers=1, critic_lr=1e-2)
    late = Weight(weight=1.0, schedule="constant", warmup=0, start=1.0)
    return model(
        seed=seed, network=mlp(8, dropout=0.3), penalties={"adversarial": penalty},
        weights={"adversarial": late},
    )  # fmt: skip


def module(chunk: int) -> ImageData:
    """Six mini-batches to train on, of 8 images but for the last."""
    return data(images(53, 1, 4, 4, seed=9), val_size=11, chunk=chunk)


def scaled() -> dict[str, Any]:
    """The scaler of a training in float16, of which the first steps are left out."""
    return {"scaler": torch.amp.GradScaler("cpu", init_scale=2.0**30, growth_interval=3)}


def trained(
    folder: Path, chunk: int, options: dict[str, Any], *callbacks: Callback, **more: Any
) -> None:
    """Three epochs; the weights that a resumed run begins with are others."""
    float16 = scaled() if "precision" in options else {}
    make = late_critic if "optimizer" in options else noisy_vae
    whole = make(8 if "resume" in more else 0)
    checkpointed(
        whole, folder, 3, module=module(chunk), callbacks=callbacks, minutes=0,
        **options, **more, **float16,
    )  # fmt: skip


def folders(path: Path) -> list[Path]:
    found = [path / "whole", path / "parts"]
    for folder in found:
        folder.mkdir()
    return found


def same(whole: Path, parts: Path) -> None:
    for name in (LAST, BEST):
        same_checkpoint(whole / name, parts / name)
    rows = [read(folder) for folder in (whole, parts)]
    for row in (*rows[0], *rows[1]):
        del row["seconds"]
    assert rows[0] == rows[1] and len(rows[0]) == 3


CASES: dict[str, tuple[dict[str, Any], int, int, int]] = {  # options, mini-batches in a chunk,
    # where it breaks off, and the mini-batches of that epoch which the last checkpoint has
    "all, between groups": (ALL, 1, 3, 2),
    "all, at the end of a group": (ALL, 1, 4, 4),
    "all, as the first epoch of the schedule begins": (ALL, 1, 0, 0),
    "groups across chunks": ({**ALL, "accumulate": 4}, 3, 1, 0),
    "averages alone": ({"ema": 0.9}, 2, 1, 2),
    "float16": ({"precision": "16-mixed", "ema": 0.9, "accumulate": 2}, 2, 2, 4),
    "NAdam": ({"optimizer": Torch(name="NAdam", lr=1e-3, options={})}, 2, 1, 2),
}


@pytest.mark.parametrize(  # in the first epoch only where there is a checkpoint by then
    ("case", "epoch"),
    [(case, epoch) for case, (*_, kept) in CASES.items() for epoch in (0, 1) if epoch or kept],
)
def test_the_end_is_the_same(tmp_path: Path, case: str, epoch: int) -> None:
    options, chunk, at, kept = CASES[case]
    whole, parts = folders(tmp_path)
    trained(whole, chunk, options)
    with pytest.raises(Broken):
        trained(parts, chunk, options, Break(epoch, at))
    found = load(parts / LAST)
    assert found["step"] == 6 * epoch + kept and (EPOCH_PROGRESS in found) == (kept > 0)
    assert (TRAINED in found) == ("ema" in options)
    trained(parts, chunk, options, resume=True)
    same(whole, parts)


class Signal(Callback):
    """SIGTERM, as a chunk of the second epoch begins."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_waits_for_the_step_of_the_optimizer(tmp_path: Path) -> None:
    """It comes before the third mini-batch of groups of four."""
    whole, parts = folders(tmp_path)
    options = {**ALL, "accumulate": 4}
    trained(whole, 2, options)
    with listening(), pytest.raises(StoppedError), deferred():
        trained(parts, 2, options, Signal())
    assert load(parts / LAST)["step"] == 6 + 4
    trained(parts, 2, options, resume=True)
    same(whole, parts)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checkpoint of a training that was broken off within its second epoch."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.raises(Broken):
        trained(folder, 2, {"ema": 0.5, "accumulate": 2, "precision": "16-mixed"}, Break(1, 2))
    return load(folder / LAST)


class TestDamage:
    """A checkpoint of another training is refused, and its part named."""

    @pytest.mark.parametrize(
        ("change", "options", "named"),
        [
            ({TRAINED: None}, {}, TRAINED),
            ({TRAINED: {"a": torch.zeros(1)}}, {}, "weights of another model"),
            ({TRAINED: {"a": 1}}, {}, TRAINED),
            ({}, {"ema": None}, TRAINED),
            ({}, {"accumulate": 3}, EPOCH_PROGRESS),
            ({"MixedPrecision": None}, {}, "MixedPrecision"),
            ({"MixedPrecision": {"scale": 1.0}}, {}, "MixedPrecision"),
            ({}, {"precision": "32-true"}, "MixedPrecision"),
        ],
        ids=str,
    )
    def test_is_refused(
        self, tmp_path: Path, content: Any, change: Any, options: Any, named: str
    ) -> None:
        AtomicIO().save_checkpoint(content | change, tmp_path / LAST)
        ours = {"ema": 0.5, "accumulate": 2, "precision": "16-mixed"} | options
        with pytest.raises(UserError, match=named):
            trained(tmp_path, 2, ours, resume=True)

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
    def test_a_scale_that_is_none(self, tmp_path: Path, content: Any, scale: float) -> None:
        scaler = content["MixedPrecision"] | {"scale": scale}
        AtomicIO().save_checkpoint(content | {"MixedPrecision": scaler}, tmp_path / LAST)
        with pytest.raises(UserError, match=r"MixedPrecision\.scale"):
            trained(
                tmp_path, 2, {"ema": 0.5, "accumulate": 2, "precision": "16-mixed"}, resume=True
            )
