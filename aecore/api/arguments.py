"""A sentence as it is said in Python, and what is wrong with it in the words of Python."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aecore.config.choices import split_override
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
# words of the command line that are arguments here
_OPTIONS = {
    "trainer.max_epochs": "epochs", "dataset.batch_size": "batch_size",
    "dataset.val_size": "validation", "trainer/accelerator": "device",
}  # fmt: skip
_ARGUMENTS = {
    **_OPTIONS, "trainer.accelerator": "device", "hydra.run.dir": "folder",
    **{name: name for name in ("epochs", "batch_size", "lr", "validation", "seed", "device")},
}  # fmt: skip
_NAMES = {**_OPTIONS, "optimizer.lr": "lr", "trainer.accelerator": "device"}  # in messages


def listed(words: str | Sequence[str]) -> list[str]:
    """Overrides out of one text or several; a word alone is a preset."""
    if not isinstance(words, str | Sequence):
        raise UserError(
            f"{short(words)}: no model", 'give its overrides, such as "model=vae latent.dim=8"'
        )
    try:
        found = shlex.split(words) if isinstance(words, str) else [str(word) for word in words]
    except ValueError as error:  # a quote that is not closed
        raise UserError(f"{words}: {error}", "close it, or leave it out") from error
    return [word if "=" in word else f"model={word}" for word in found]


def value_of(key: str, said: Sequence[str]) -> str | None:
    """What a sentence says of a key last, None where it does not."""
    return dict(split_override(word) for word in said).get(key)


def check_said(said: Sequence[str], known: Sequence[str]) -> None:
    """Raise UserError for a word that is none of these keys, or of what lies below them."""
    for word in said:
        key, value = split_override(word)
        if any(key == one or key.startswith(f"{one}.") for one in known):
            continue
        mend = f"known: {', '.join(known)}; all else are its arguments"
        if key in _ARGUMENTS:
            mend = f"it is an argument: {_ARGUMENTS[key]}={value or '...'}"
        near = "" if key in _ARGUMENTS else nearest(key, known)
        raise UserError(f"{word}: no word for fit(){near}\n  {mend}")


@contextmanager
def in_python() -> Iterator[None]:
    """Errors that name the arguments of `fit`, not the options of the command line."""
    try:
        yield
    except ConfigError as error:
        raise error.renamed(_NAMES) from error
