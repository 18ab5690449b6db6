"""Overrides in Python, and errors that name the arguments of `fit`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aecore.config.overrides import Override, read
from aecore.data.pixels import short
from aecore.errors import ConfigError, UserError, nearest

MODEL = (
    "model", "network", "latent", "noise", "penalty", "reconstruction", "prior", "objective",
    "conditional", "dataset.range", "dataset.binarise",
)  # fmt: skip
TRAINING = (
    "optimizer", "scheduler", "init", "sampler", "evaluate.weights", "evaluate.metrics",
    "trainer.precision", "trainer.gradient_clip", "trainer.compile", "trainer.early_stopping",
)  # fmt: skip
_OPTIONS = {  # what options of the configuration are called here
    "trainer.max_epochs": "epochs", "dataset.batch_size": "batch_size",
    "dataset.val_size": "validation", "trainer.accelerator": "device",
}  # fmt: skip
ARGUMENTS = {
    **_OPTIONS, "hydra.run.dir": "folder",
    **{name: name for name in ("epochs", "batch_size", "lr", "validation", "seed", "device")},
}  # fmt: skip


def listed(words: str | Sequence[str]) -> tuple[Override, ...]:
    """Overrides out of one text or several; a word alone is a preset."""
    if not isinstance(words, str | Sequence):
        raise UserError(
            f"{short(words)}: no model", 'give its overrides, such as "model=vae latent.dim=8"'
        )
    try:
        found = shlex.split(words) if isinstance(words, str) else [str(word) for word in words]
    except ValueError as error:  # a quote that is not closed
        raise UserError(f"{words}: {error}", "close it, or leave it out") from error
    return read(word if "=" in word else f"model={word}" for word in found)


def value_of(key: str, said: Sequence[Override]) -> Any:
    """The value of a key that counts, None where it is not given."""
    return next((o.value for o in reversed(said) if o.key == key), None)


def check_said(
    said: Sequence[Override], known: Sequence[str], arguments: Mapping[str, str] = ARGUMENTS
) -> None:
    """Raise UserError for several values, and for an override that is not at or below these keys.

    arguments: the names of the arguments that stand for other keys.
    """
    for override in said:
        key = override.key
        if override.is_sweep:
            raise UserError(f"{override.typed}: several values", "give one")
        if any(override.is_below(one) for one in known):
            continue
        problem = f"{override.typed}: not an option of fit()"
        if key in arguments:
            hint = f"it is an argument: {arguments[key]}={override.text or '...'}"
            raise UserError(problem, hint)
        hint = f"known: {', '.join(known)}; all else are its arguments"
        raise UserError(f"{problem}{nearest(key, known)}", hint)


@contextmanager
def in_python() -> Iterator[None]:
    """Errors that name the arguments of `fit`, not the options of the command line."""
    try:
        yield
    except ConfigError as error:
        raise error.renamed({**_OPTIONS, "optimizer.lr": "lr"}) from error
