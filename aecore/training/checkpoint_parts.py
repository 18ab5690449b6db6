"""The parts of a checkpoint that a training continues from, each checked before it is used.

A file may have been made by anyone. Of what it holds only what is named here reaches Lightning and
torch: plain values by the models below; tensors and options of the optimizer and the schedule by
those of the ones that are built. Lightning's own counters are not read but made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from aecore.data.batches import Batches
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import PREFIX, check_weights, weights
from aecore.runs.validation import printable
from aecore.training.averaging import AVERAGED, TRAINED
from aecore.training.generators import check_state
from aecore.training.module import EPOCH_PROGRESS
from aecore.training.optimizers.gradient import GradientDescent
from aecore.training.optimizers.restored import GREATEST, alike, restored_states
from aecore.training.setup import Experiment

Count = Annotated[int, Field(ge=0, lt=GREATEST)]
SCALER = "MixedPrecision"  # the key of the state of Lightning's plug-in that scales the loss
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)


class _Means(_Part):
    sums: dict[str, float]
    images: Count


class _Progress(_Part):
    chunks: Count
    steps: Count
    mean: _Means
    since_log: _Means
    generators: list[Tensor]


class _Row(_Part, extra="allow"):
    epoch: Count
    step: Count
    lr: float
    images: Annotated[int, Field(gt=0, lt=GREATEST)]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    __pydantic_extra__: dict[str, float]


class _History(_Part):
    rows: list[_Row]
    seconds: Seconds


class _Checkpoints(_Part):
    best: float
    best_epoch: Count


class _EarlyStopping(_Part):
    wait_count: Count
    stopped_epoch: Count
    best_score: Tensor
    patience: Count
    stopping_reason: Annotated[int, Field(ge=0, lt=len(EarlyStoppingReason))] = 0
    stopping_reason_message: str | None = None
    stopped: bool


class _Pruning(_Part):
    stopped: bool


class _Callbacks(_Part):
    """Their states, by the names of their classes."""

    History: _History
    Checkpoints: _Checkpoints
    ResumableEarlyStopping: _EarlyStopping | None = None
    Pruning: _Pruning | None = None


class _Optimizer(_Part):
    state: dict[int, dict[str, Any]]
    param_groups: list[dict[str, Any]]


class _Scaler(_Part):
    """The state of torch's GradScaler."""

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    growth_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    backoff_factor: Annotated[float, Field(gt=0, lt=1)]
    growth_interval: Annotated[int, Field(ge=1, lt=GREATEST)]
    growth_tracker: Count = Field(alias="_growth_tracker")


class _Parts(_Part, extra="ignore"):
    epoch: Count
    step: Count
    epoch_progress: _Progress | None = None
    callbacks: dict[str, dict[str, Any]]
    optimizer_states: Annotated[list[_Optimizer], Field(min_length=1, max_length=1)]
    lr_schedulers: Annotated[list[dict[str, Any]], Field(max_length=1)]
    trained_weights: dict[str, Tensor] | None = None
    MixedPrecision: _Scaler | None = None


def checked(
    content: Mapping[str, Any],
    path: Path,
    experiment: Experiment,
    model: Autoencoder,
) -> dict[str, Any]:
    """A checkpoint as Lightning takes it, of checked parts alone.

    content: what `load` read from the file `path`. model: as `prepare` made it.
    Raises UserError, which names file and part, for what another training or none has left.
    """
    state = weights(content)
    check_weights(model.state_dict(), state, path)
    optimizer, options = experiment.optimizer, experiment.config.trainer
    assert isinstance(optimizer, GradientDescent)
    try:
        parts = _Parts.model_validate(content)
        known = _Callbacks.model_fields
        callbacks = {k: v for k, v in parts.callbacks.items() if _class(k) in known}
        states = _Callbacks.model_validate({_class(k): v for k, v in callbacks.items()})
        _check_agreement(parts, states, experiment.data.train_dataloader(), options.accumulate)
        if (parts.trained_weights is None) != (options.ema is None):
            raise ValueError(f"{TRAINED}: of a training with another trainer.ema")
        if (parts.MixedPrecision is None) != (options.precision != "16-mixed"):
            raise ValueError(f"{SCALER}: of a training with another trainer.precision")
        built = optimizer(model.parameter_groups())
        scheduler = experiment.scheduler(built, experiment.max_epochs)
        groups = built.state_dict()["param_groups"]
        schedules = [] if scheduler is None else [scheduler.state_dict()]
        (saved,) = parts.optimizer_states
        if [g.get("params") for g in saved.param_groups] != [g["params"] for g in groups]:
            raise ValueError("param_groups: of other parameters")
        restored = {
            "state": restored_states(optimizer, built, saved.state),
            "param_groups": alike(groups, saved.param_groups, "param_groups"),
        }
        schedules = alike(schedules, parts.lr_schedulers, "lr_schedulers")
    except (ValueError, RuntimeError, OverflowError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise UserError(
            f"{path}: damaged, or a checkpoint of another training ({printable(reason)})",
            "it was not used; give another run or train again",
        ) from error
    kept = ("epoch", "step", EPOCH_PROGRESS, SCALER)
    plain = {key: content[key] for key in kept if content.get(key) is not None}
    if parts.trained_weights is not None:
        plain[AVERAGED], state = state, weights({"state_dict": parts.trained_weights})
        check_weights(model.state_dict(), state, path)
    chunks = None if parts.epoch_progress is None else parts.epoch_progress.chunks
    return {
        **plain,
        "optimizer_states": [restored],
        "lr_schedulers": schedules,
        "state_dict": {PREFIX + name: value for name, value in state.items()},
        "callbacks": callbacks,
        "loops": {"fit_loop": counters(parts.epoch, chunks)},
        "pytorch-lightning_version": version("pytorch-lightning"),
    }


def counters(epoch: int, chunks: int | None) -> dict[str, Any]:
    """Lightning's counters of the loop of epochs, as far as a training that continues needs them.

    epoch: the number of the epoch, from 0. chunks: done of it; None where it has ended.
    """
    ended = epoch + 1 if chunks is None else epoch
    loops = {"epoch_progress": _progress(epoch + 1, ended, epoch)}
    if chunks is not None:
        batches = _progress(chunks + 1, chunks, chunks)
        loops["epoch_loop.batch_progress"] = {**batches, "is_last_batch": False}
    return loops


def _progress(begun: int, processed: int, completed: int) -> dict[str, Any]:
    counts = {"ready": begun, "started": begun, "processed": processed, "completed": completed}
    return {"total": counts, "current": counts}


def _class(key: str) -> str:
    """The class of a callback, by its key; some have their options behind it."""
    return key.partition("{")[0]


def _check_agreement(
    parts: _Parts, callbacks: _Callbacks, batches: Batches, accumulate: int
) -> None:
    """Raise ValueError where epoch, step, history and progress do not fit together."""
    rows, progress = callbacks.History.rows, parts.epoch_progress
    epochs = parts.epoch + (1 if progress is None else 0)
    if len(rows) != epochs or any(row.epoch != n for n, row in enumerate(rows, start=1)):
        raise ValueError(f"History: {len(rows)} rows after {epochs} epochs")
    steps = 0
    if progress is not None:
        first = progress.chunks * batches.chunk
        steps = progress.steps
        within = first < batches.steps and first <= steps <= min(
            first + batches.chunk, batches.steps
        )
        within = within and (steps % accumulate == 0 or steps == batches.steps)
        if not within or any(m.sums and not m.images for m in (progress.mean, progress.since_log)):
            raise ValueError(f"{EPOCH_PROGRESS}: of an epoch of other steps")
        for of_ranks in progress.generators:
            if of_ranks.dtype != torch.uint8 or of_ranks.ndim != 2:
                raise ValueError(f"{EPOCH_PROGRESS}: states of generators that are none")
            for one in of_ranks:
                check_state(one)
    if parts.step != steps + (rows[-1].step if rows else 0):
        raise ValueError("step: not that of the epoch")
    stopping = callbacks.ResumableEarlyStopping
    last = max(callbacks.Checkpoints.best_epoch, stopping.stopped_epoch if stopping else 0)
    if last > epochs:
        raise ValueError(f"callbacks: of epoch {last} after {epochs} epochs")
    if stopping is not None:
        alike(torch.tensor(0.0), stopping.best_score, "best_score")
