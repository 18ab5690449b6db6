"""The progress of training on the terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm
from typing_extensions import override

from aecore.config.terminal import say
from aecore.training.module import Training


class Progress(Callback):
    """A bar with the losses on a terminal, elsewhere one line per epoch (none where `brief`)."""

    def __init__(self, brief: bool) -> None:
        self.brief = brief
        self.bar: tqdm[Any] = tqdm(disable=True)

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        self._start = time.perf_counter()
        done = pl_module.step % pl_module.steps_an_epoch  # of an epoch that continues
        self._first = pl_module.step - done
        self.bar = tqdm(
            initial=done,
            total=pl_module.steps_an_epoch,
            desc=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            unit="step",
            dynamic_ncols=True,
            leave=not self.brief,
            file=sys.stderr,
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {rate_fmt}{postfix}",
            disable=not (trainer.is_global_zero and sys.stderr.isatty()),
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
        text = _terms(terms)
        if validation := pl_module.val_mean.result("val"):
            text += f" | val loss {validation['val/loss']:.4g}"
        if not self.bar.disable:
            self.bar.set_postfix_str(text, refresh=False)
            self.close()
        elif trainer.is_global_zero and not self.brief:
            seconds = time.perf_counter() - self._start
            say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} {seconds:.1f} s, {text}")

    @override
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the bar in its present state."""
        self.bar.refresh()
        self.bar.close()


def _terms(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
