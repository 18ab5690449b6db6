"""The progress of training on the terminal."""

from __future__ import annotations

import sys
import time
from math import ceil
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm
from typing_extensions import override

from aecore.config.terminal import say
from aecore.training.estimate import clock
from aecore.training.module import Training

_WIDTH = 80  # columns
_LINES = 100  # of a run, or a few more


class Progress(Callback):
    """A bar with the losses on a terminal, elsewhere one line per epoch (none where `brief`).

    Of many epochs some stay on the terminal, evenly spaced, and the last one.
    """

    def __init__(self, brief: bool) -> None:
        self.brief = brief
        self.bar: tqdm[Any] = tqdm(disable=True)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        self._started, self._done_before = time.perf_counter(), pl_module.step

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        done = pl_module.step % pl_module.steps_an_epoch  # of an epoch that continues
        self._first = pl_module.step - done
        self.bar = tqdm(
            initial=done,
            total=pl_module.steps_an_epoch,
            desc=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            unit="step",
            dynamic_ncols=True,
            leave=self._stays(trainer),
            file=sys.stderr,
            bar_format="{desc} {percentage:3.0f}%|{bar:10}| {rate_fmt}{postfix}",
            disable=not (trainer.is_global_zero and has_bar()),
        )

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.bar.disable and isinstance(pl_module, Training):
            self.bar.set_postfix_str(_terms(pl_module.latest), refresh=False)
            self.bar.update(pl_module.step - self._first - self.bar.n)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        means = pl_module.train_mean.result("train").items()
        terms = {k.removeprefix("train/"): v for k, v in means if not k.endswith("_weighted")}
        if validation := pl_module.val_mean.result("val"):
            terms = {"val loss": validation["val/loss"], **terms}
        head = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        times = self._times(trainer, pl_module)
        if not self.bar.disable:
            self.bar.set_postfix_str(_terms(terms), refresh=False)
            self.close()
        elif trainer.is_global_zero and self._stays(trainer):
            say(f"{head}  {times}  {_terms(terms, _WIDTH - len(head) - len(times) - 4)}")

    def _stays(self, trainer: Trainer) -> bool:
        """Whether the line of the epoch stays on the terminal."""
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        return not self.brief and (epoch % ceil(epochs / _LINES) == 0 or epoch == epochs)

    def _times(self, trainer: Trainer, module: Training) -> str:
        """`0:12, 1:48 left`: since the training began or went on, and for its other epochs."""
        seconds = time.perf_counter() - self._started
        steps = module.step - self._done_before
        left = (trainer.max_epochs or 0) * module.steps_an_epoch - module.step
        times = clock(seconds)
        return f"{times}, {clock(seconds / steps * left)} left" if left > 0 and steps else times

    @override
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the bar in its present state."""
        self.bar.refresh()
        self.bar.close()


def has_bar() -> bool:
    """Whether a bar can be shown: on a terminal and in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _terms(values: dict[str, float], width: int | None = None) -> str:
    """Values by their names, as many as fit."""
    texts = [f"{name} {value:.4g}" for name, value in values.items()]
    while width is not None and len(texts) > 2 and len(", ".join(texts)) > width:
        texts.pop()
    return ", ".join(texts)
