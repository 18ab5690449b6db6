"""Overrides in Python, and errors that name the arguments of `fit`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import Any

from aecore.config.arguments import parse
from aecore.config.compose import Composition, compose
from aecore.config.folders import flags, user_folders
from aecore.config.overrides import Override, read
from aecore.errors import ConfigError, UserError, nearest, short

MODEL = (
    "model", "network", "latent", "noise", "penalty", "reconstruction", "prior", "objective",
    "conditional", "dataset.range", "dataset.binarise",
)  # fmt: skip
TRAINING = (
    "augment", "optimizer", "scheduler", "init", "sampler", "evaluate.weights", "evaluate.metrics",
    "trainer.precision", "trainer.gradient_clip", "trainer.accumulate", "trainer.warmup",
    "trainer.ema", "trainer.compile", "trainer.early_stopping",
)  # fmt: skip
OPTIONS = {  # what options of the configuration are called here
    "trainer.max_epochs": "epochs", "dataset.batch_size": "batch_size",
    "dataset.val_size": "validation", "trainer.accelerator": "device",
}  # fmt: skip
ARGUMENTS = {
    **OPTIONS, "hydra.run.dir": "folder",
    **{name: name for name in ("epochs", "batch_size", "lr", "validation", "seed", "device")},
}  # fmt: skip


def as_overrides(overrides: str | Sequence[str]) -> tuple[Override, ...]:
    """Overrides out of one text or several; a name alone is a preset."""
    if not isinstance(overrides, str | Sequence):
        raise UserError(
            f"{short(overrides)}: no model", 'give its overrides, such as "model=vae latent.dim=8"'
        )
    try:
        parts = shlex.split(overrides) if isinstance(overrides, str) else map(str, overrides)
        return read(part if "=" in part else f"model={part}" for part in parts)
    except ValueError as error:  # a quote that is not closed
        raise UserError(f"{overrides}: {error}", "close it, or leave it out") from error


def value_of(key: str, overrides: Sequence[Override]) -> Any:
    """The value of a key that counts, None where it is not given."""
    return next((o.value for o in reversed(overrides) if o.key == key), None)


def check_overrides(
    overrides: Sequence[Override], known: Sequence[str], arguments: Mapping[str, str] = ARGUMENTS
) -> None:
    """Raise UserError for several values, and for an override that is not at or below these keys.

    arguments: the names of the arguments that correspond to keys.
    """
    for override in overrides:
        key = override.key
        if override.is_sweep:
            raise UserError(f"{override.typed}: several values", "give one")
        if any(override.is_below(one) for one in known):
            continue
        problem = f"{override.typed}: not an option of fit()"
        if key in arguments:
            raise UserError(problem, f"use its argument {arguments[key]}")
        hint = f"known: {', '.join(known)}; all else are its arguments"
        raise UserError(f"{problem}{nearest(key, known)}", hint)


# not with options of the user, which may change; the folds of a search repeat calls
_cached = lru_cache(maxsize=32)(compose)


def composed(overrides: Sequence[Override]) -> Composition:
    """The composition of these overrides, of which the configuration may be changed."""
    arguments = replace(parse(flags()), overrides=tuple(overrides))
    job = compose(arguments) if user_folders() else _cached(arguments)
    return replace(job, config=deepcopy(job.config))


@contextmanager
def in_python() -> Iterator[None]:
    """Errors that name the arguments of `fit`, not the options of the command line."""
    try:
        yield
    except ConfigError as error:
        raise error.renamed({**OPTIONS, "optimizer.lr": "lr"}) from error
