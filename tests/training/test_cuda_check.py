"""What an optimizer asks in every step: whether there is a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytorch_lightning import Callback, LightningModule, Trainer

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.training.fit import fit
from aecore.training.prepare import prepare
from aecore.training.setup import build_experiment

VARIABLE = "PYTORCH_NVML_BASED_CUDA_CHECK"
SMALL = [
    "model=ae", "dataset=digits", "dataset.train_size=64", "network.hidden=[4]", "logger=none",
    "trainer.max_epochs=1", "trainer/accelerator=cpu",
]  # fmt: skip


class Asked(Callback):
    """Notes what torch asks while it trains."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        """After a chunk of steps."""
        self.variable = os.environ.get(VARIABLE)


def test_it_is_not_asked_through_nvml_while_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its library is loaded anew for each question."""
    monkeypatch.setenv(VARIABLE, "1")  # as Lightning sets it, once
    (tmp_path / "checkpoints").mkdir()
    experiment, asked = build_experiment(compose(parse(SMALL)).config), Asked()
    fit(experiment, prepare(experiment), tmp_path, callbacks=[asked])
    assert (asked.variable, os.environ[VARIABLE]) == (None, "1")
