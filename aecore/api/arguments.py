"""Overrides in Python, and errors in the terms of Python."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aecore.config.overrides import Override, read
from aecore.data.pixels import short
from aecore.errors import NonFiniteLoss, UserError, nearest

MODEL = (
    "model", "network", "latent", "noise", "penalty", "reconstruction", "prior", "objective",
    "conditional", "dataset.range", "dataset.binarise",
)  # fmt: skip
TRAINING = (
    "optimizer", "scheduler", "init", "sampler", "evaluate.weights", "evaluate.metrics",
    "trainer.precision", "trainer.gradient_clip", "trainer.compile", "trainer.early_stopping",
)  # fmt: skip
# keys of the command line that are arguments here
_OPTIONS = {
    "trainer.max_epochs": "epochs", "dataset.batch_size": "batch_size",
    "dataset.val_size": "validation", "trainer/accelerator": "device",
}  # fmt: skip
_ARGUMENTS = {
    **_OPTIONS, "trainer.accelerator": "device", "hydra.run.dir": "folder",
    **{name: name for name in ("epochs", "batch_size", "lr", "validation", "seed", "device")},
}  # fmt: skip
# other terms of the command line
_TERMS = {
    **_OPTIONS, "optimizer.lr": "lr", "add -m to run every combination of them": "give one",
    "; the last good checkpoint stays": "",
}  # fmt: skip


def as_overrides(overrides: str | Sequence[str]) -> tuple[Override, ...]:
    """Overrides out of one text or several; a name alone is a preset."""
    if not isinstance(overrides, str | Sequence):
        raise UserError(
            f"{short(overrides)}: no model\n"
            '  give its overrides, "model=vae latent.dim=8", or an aecore.Autoencoder'
        )
    try:
        parts = shlex.split(overrides) if isinstance(overrides, str) else map(str, overrides)
        return read(part if "=" in part else f"model={part}" for part in parts)
    except ValueError as error:  # a quote that is not closed
        raise UserError(f"{overrides}: {error}\n  close it, or leave it out") from error


def value_of(key: str, overrides: Sequence[Override]) -> Any:
    """The value of a key that counts, None where it is not given."""
    return next((o.value for o in reversed(overrides) if o.key == key), None)


def check_overrides(overrides: Sequence[Override], known: Sequence[str]) -> None:
    """Raise UserError for an override that is of none of these keys, nor of what lies below."""
    for override in overrides:
        key = override.key
        if any(override.is_below(one) for one in known):
            continue
        hint = f"known: {', '.join(known)}; all else are its arguments"
        if key in _ARGUMENTS:
            hint = f"it is an argument: {_ARGUMENTS[key]}={override.text or '...'}"
        near = "" if key in _ARGUMENTS else nearest(key, known)
        raise UserError(f"{override.typed}: no option of fit(){near}\n  {hint}")


@contextmanager
def in_python() -> Iterator[None]:
    """Errors in the terms of `fit`, not in those of the command line."""
    try:
        yield
    except (UserError, NonFiniteLoss) as error:
        text = str(error)
        for key, name in _TERMS.items():
            text = text.replace(key, name)
        raise type(error)(text) from error
