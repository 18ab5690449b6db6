"""Nodes that are no words are checked as words are."""

from __future__ import annotations

from typing import Any

import pytest

from aecore.config.build import validate
from aecore.config.schema import EarlyStopping, Trainer
from aecore.errors import UserError

TRAINER: dict[str, Any] = {
    "max_epochs": 3,
    "threads": "auto",
    "precision": "32-true",
    "gradient_clip": None,
    "log_every": 50,
    "limit_batches": None,
    "checkpoint_minutes": 5,
    "compile": None,
    "strategy": "auto",
    "devices": 1,
    "num_nodes": 1,
    "early_stopping": {"patience": None, "monitor": "val/loss", "min_delta": 0.0},
    "accelerator": "cpu",
}


class TestValidate:
    def test_a_plain_node(self) -> None:
        trainer = validate(Trainer, TRAINER, "trainer")
        assert trainer.max_epochs == 3 and trainer.early_stopping.patience is None

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"max_epoch": 3}, "trainer.max_epoch: unknown key (did you mean 'max_epochs'?)"),
            ({"max_epochs": 0}, "trainer.max_epochs=0: must be "),
            ({"max_epochs": 2.5}, "trainer.max_epochs=2.5: must be a valid integer"),
            ({"max_epochs": "3"}, "trainer.max_epochs=3: must be a valid integer"),
            ({"threads": "all"}, "trainer.threads=all: must be "),
            ({"precision": 16}, "trainer.precision=16: must be '32-true'"),
            ({"checkpoint_minutes": -1}, "trainer.checkpoint_minutes=-1: must be "),
            ({"gradient_clip": -1}, "trainer.gradient_clip=-1: must be "),
            ({"accelerator": "tpu"}, "trainer.accelerator=tpu: must be "),
            ({"early_stopping": {"patience": 0, "monitor": "a", "min_delta": 0.0}},
             "trainer.early_stopping.patience=0: must be "),
            ({"early_stopping": {"patience": 1, "min_delta": 0.0}},
             "trainer.early_stopping.monitor: this key is missing"),
            ({"early_stopping": {"patience": 1, "monitor": "a", "min_delta": 0.0, "x": 1}},
             "trainer.early_stopping.x: unknown key"),
        ],
        ids=str,
    )  # fmt: skip
    def test_wrong(self, change: dict[str, Any], says: str) -> None:
        with pytest.raises(UserError) as raised:
            validate(Trainer, TRAINER | change, "trainer")
        assert str(raised.value).startswith(says)

    def test_missing(self) -> None:
        node = {k: v for k, v in TRAINER.items() if k != "devices"}
        with pytest.raises(UserError, match=r"^trainer\.devices: this key is missing$"):
            validate(Trainer, node, "trainer")

    def test_at_the_root_there_is_no_path(self) -> None:
        node = {"patience": 0, "monitor": "a", "min_delta": 0.0}
        with pytest.raises(UserError, match=r"^patience=0: "):
            validate(EarlyStopping, node)
