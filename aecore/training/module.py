"""The Lightning module of an autoencoder: batches, logged terms, optimizer steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Generator, Tensor
from typing_extensions import override

from aecore.data.augmentations.base import Augment
from aecore.evaluation.metrics.common import VALIDATION_STREAM
from aecore.model.autoencoder import Autoencoder
from aecore.model.comparable import FINAL_EPOCH
from aecore.model.objectives.base import Terms, weighted_term
from aecore.training.averaging import AVERAGED, WeightAverage
from aecore.training.descent import Descent
from aecore.training.finite import check_finite, check_weights
from aecore.training.generators import Generators, epoch_seed
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.optimizers.schedulers import Schedule, step_schedule
from aecore.training.running_mean import Mean, mean_over_ranks
from aecore.training.signals import received
from aecore.training.validation import validation_losses
from aecore.types import Batch

EPOCH_PROGRESS = "epoch_progress"  # key in a checkpoint made within an epoch


class StoppedError(Exception):
    """A signal ends the training, in a form that Lightning passes on; all ranks stop together."""


class Training(LightningModule):
    """Trains an Autoencoder, one chunk of mini-batches a `training_step`.

    Lightning's bookkeeping costs some 0.4 ms a call, as much as a small network's own step; a
    chunk shares it between its mini-batches. The arithmetic is that of single steps: a chunk
    changes when losses are read and logged, not what is computed. All randomness of an epoch is
    drawn from generators seeded by (seed, epoch), so an epoch that starts again repeats itself;
    one that continues from a checkpoint within it restores the states of the generators.

    A step is a mini-batch, wherever steps are counted; `descent` says how many of them make a step
    of the optimizer. A signal and a checkpoint wait for that.

    log_every: steps between two log entries. augment: changes training batches; None leaves them.
    compile_mode: of torch.compile, which makes the objective faster on GPUs; None does not compile.
    ema: decay of the moving average of the weights, which is then evaluated; None for no average.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        optimizer: GradientDescent,
        schedule: Schedule,
        *,
        seed: int,
        log_every: int,
        descent: Descent | None = None,
        augment: Augment | None = None,
        ema: float | None = None,
        compile_mode: str | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.autoencoder = autoencoder
        self._optimizer, self._schedule = optimizer, schedule
        self.seed, self.log_every = seed, log_every
        self.descent = Descent() if descent is None else descent
        self._augment, self._decay = augment, ema
        self._average: WeightAverage | None = None
        self._saved_average: Mapping[str, Tensor] | None = None
        self._terms = autoencoder.terms
        if compile_mode is not None:
            self._terms = torch.compile(autoencoder.terms, mode=compile_mode)
        self.step = 0
        self.train_mean, self.val_mean = Mean(), Mean()
        self._since_log = Mean()
        self.latest: dict[str, float] = {}
        self.steps_an_epoch = 1
        self._chunks_done, self._steps_done = 0, 0  # of the epoch under way
        self.stopped = False  # whether a signal ends it here
        self._epoch_progress: dict[str, Any] | None = None

    @override
    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(self.autoencoder.parameter_groups())
        self._rates = [group["lr"] for group in optimizer.param_groups]
        epochs = (self.trainer.max_epochs or 1) - self.descent.warm_epochs
        schedule = self._schedule(optimizer, epochs)
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}

    @override
    def on_train_start(self) -> None:
        self.steps_an_epoch = self._loader().steps
        self.generators = Generators(self.device)
        self._autocast = "mixed" in str(self.trainer.precision)
        precision = self.trainer.precision_plugin
        self._scaler = precision.scaler if isinstance(precision, MixedPrecision) else None
        self._ranks = self.trainer.world_size
        if self._decay is not None:
            self._average = WeightAverage(self.autoencoder, self._decay, self._saved_average)
        if self._epoch_progress is not None:  # Lightning does not begin an epoch that continues
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                callback.on_train_epoch_start(self.trainer, self)
            self.on_train_epoch_start()

    def _loader(self) -> Any:
        return self.trainer.train_dataloader

    @override
    def on_train_epoch_start(self) -> None:
        self._seed_generators(0)
        self.train_mean, self._since_log = Mean(), Mean()
        self._chunks_done, self._steps_done = 0, 0
        if self._epoch_progress is not None:
            self._restore_progress(self._epoch_progress)
            self._epoch_progress = None
        self._loader().set_epoch(self.current_epoch, self._chunks_done, self._steps_done)

    def _restore_progress(self, progress: Mapping[str, Any]) -> None:
        """Continue an epoch where a checkpoint left it."""
        self._chunks_done = progress["chunks"]
        self._steps_done = progress["steps"]
        # else torch would warn of a rate that changes before the first step of this process
        self.optimizers(use_pl_optimizer=False)._opt_called = True  # type: ignore[union-attr]
        self.train_mean, self._since_log = Mean(**progress["mean"]), Mean(**progress["since_log"])
        if not self.generators.restore(progress["generators"], self.global_rank, self._ranks):
            self._seed_generators(self.step)

    def _seed_generators(self, step: int) -> None:
        seed = epoch_seed(self.seed, self.current_epoch, self.global_rank, step)
        self.generators.seed(seed)

    @override
    def training_step(self, chunk: Iterable[Batch], chunk_index: int) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        generator = self.generators.generator
        rows, sizes, terms = [], [], None
        for batch in chunk:
            if self._augment is not None:
                batch = self._augment(batch, generator)
            epoch = self.step / self.steps_an_epoch
            terms = self._terms(
                batch.x, generator, epoch=epoch, noisy=True, y=batch.y, target=batch.target
            )
            loss = terms.loss
            self._descend(optimizer, sum(terms.critics.values(), loss), len(batch.x))
            rows.append(torch.stack([loss, *terms.logged.values()]).detach())
            sizes.append(len(batch.x))
            self.step += 1
            if not self.is_accumulating and self._is_interrupted():
                break
        self._steps_done += len(rows)
        if terms is not None:  # else the chunk had been done when the run was interrupted
            self._account(torch.stack(rows), sizes, terms)
        self._check_interrupted()
        self._chunks_done = chunk_index + 1

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, images: int) -> None:
        """Add the gradient of a mini-batch; the last of its group makes a step of the optimizer."""
        step = self.step % self.steps_an_epoch
        first = step - step % self.descent.accumulate
        if step == first:
            optimizer.zero_grad()
        if self._ranks > 1 or self.descent.accumulate > 1:
            # the sum over the group and the mean over the ranks is then the mean over all images
            loss = loss * (
                images * self._ranks / self._loader().size(first, self.descent.accumulate)
            )
        if self._ranks > 1:
            self.manual_backward(loss)  # it scales the loss, too
        else:  # 45 us less than through Lightning
            torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))
        if step + 1 in (first + self.descent.accumulate, self.steps_an_epoch):
            self.descent.set_rates(optimizer, self._rates, self.step, self.steps_an_epoch)
            self.descent.step(optimizer, self._scaler)
            if self._average is not None:
                self._average.update(self.autoencoder)
        if self._autocast:
            torch.clear_autocast_cache()  # it holds casts of the weights before the step

    @property
    def is_accumulating(self) -> bool:
        """Whether there are gradients that no step of the optimizer has used yet."""
        return self.step % self.steps_an_epoch % self.descent.accumulate != 0

    @property
    def evaluated(self) -> Autoencoder:
        """The model with the weights that are evaluated: the averages where there are some."""
        return self.autoencoder if self._average is None else self._average.model

    def _is_interrupted(self) -> bool:
        """Whether a signal came to any rank."""
        stop = received() is not None
        if self._ranks > 1:
            stop = self.trainer.strategy.reduce_boolean_decision(stop, all=False)
        self.stopped = self.stopped or stop
        return self.stopped

    def _check_interrupted(self) -> None:
        if self.stopped:
            raise StoppedError

    def _account(self, rows: Tensor, sizes: list[int], terms: Terms) -> None:
        """Read a chunk's losses, (steps, 1 + terms): the one wait for the device in a chunk."""
        names = ["loss", *terms.logged]
        rows, sizes = self._over_ranks(rows.float(), sizes)
        values = rows.cpu().numpy()
        first = self.step - len(sizes)
        check_finite(values, names, first)
        for offset, (row, size) in enumerate(zip(values.tolist(), sizes, strict=True)):
            step = first + offset + 1
            entry = dict(zip(names, row, strict=True))
            entry = self.with_weighted(entry, (step - 1) / self.steps_an_epoch)
            self.train_mean.add(entry, size)
            self._since_log.add(entry, size)
            if step % self.log_every == 0:
                self._log(self._since_log.result("train"), step)
                self._since_log = Mean()
        self.latest = dict(zip(names, values.mean(0).tolist(), strict=True))

    def with_weighted(self, terms: dict[str, float], epoch: float) -> dict[str, float]:
        """The terms, and for each with a weight the two multiplied, after that many epochs."""
        weights = {n: w for n, w in self.autoencoder.weights.items() if n in terms}
        return terms | {weighted_term(n): w.at(epoch) * terms[n] for n, w in weights.items()}

    def _log(self, metrics: dict[str, float], step: int) -> None:
        for logger in self.loggers:
            logger.log_metrics(metrics, step)

    @override
    def on_validation_epoch_start(self) -> None:
        self.val_mean = Mean()
        seed = self.seed + VALIDATION_STREAM
        self._val_generator = Generator(device=self.device).manual_seed(seed)

    @override
    def validation_step(self, chunk: Iterable[Batch], chunk_index: int) -> None:
        for batch in chunk:
            epoch = self.step / self.steps_an_epoch
            logged = validation_losses(self.evaluated, batch, self._val_generator, epoch)
            row = torch.stack([*logged.values()]).detach().float()
            rows, sizes = self._over_ranks(row[None], [len(batch.x)])
            values = rows.cpu().numpy()
            check_finite(values, [f"val/{n}" for n in logged], self.step - 1)
            entry = dict(zip(logged, values[0].tolist(), strict=True))
            self._is_interrupted()
            self._check_interrupted()
            self.val_mean.add(self.with_weighted(entry, FINAL_EPOCH), sizes[0])

    @override
    def on_validation_epoch_end(self) -> None:
        metrics = self.val_mean.result("val")
        if metrics:
            self._log(metrics, self.step)
            self.log_dict(metrics, logger=False)

    def _over_ranks(self, rows: Tensor, sizes: list[int]) -> tuple[Tensor, list[int]]:
        """The means of rows (batches, terms) over the images of all ranks, and the image counts.

        Every rank sees the same values, so all of them end where one is not finite.
        """
        if self._ranks == 1:
            return rows, sizes
        return mean_over_ranks(rows, sizes, partial(self.trainer.strategy.reduce, reduce_op="sum"))

    @override
    def on_train_epoch_end(self) -> None:
        check_weights(self.parameters(), self.step)  # the last step's loss did not show them
        if self.current_epoch >= self.descent.warm_epochs:
            step_schedule(self.lr_schedulers(), self.val_mean.result("val").get("val/loss"))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the step and, within an epoch, its progress; runs on every rank."""
        checkpoint["step"] = self.step
        if self._average is not None:
            self._average.put_into(checkpoint, self.autoencoder)
        last = len(self._loader()) - 1
        if self.stopped or 0 < self._chunks_done <= last:
            states = self.all_gather(self.generators.states())
            checkpoint[EPOCH_PROGRESS] = {
                "chunks": min(self._chunks_done, last),
                "steps": self._steps_done,
                "mean": asdict(self.train_mean),
                "since_log": asdict(self._since_log),
                "generators": [state.reshape(self._ranks, -1).cpu() for state in states],
            }

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.step = checkpoint["step"]
        self._saved_average = checkpoint.get(AVERAGED)
        self._epoch_progress = checkpoint.get(EPOCH_PROGRESS)
