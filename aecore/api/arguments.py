"""A sentence as it is said in Python, and what is wrong with it in the words of Python."""

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
# words of the command line that are arguments here
_OPTIONS = {
    "trainer.max_epochs": "epochs", "dataset.batch_size": "batch_size",
    "dataset.val_size": "validation", "trainer/accelerator": "device",
}  # fmt: skip
_ARGUMENTS = {
    **_OPTIONS, "trainer.accelerator": "device", "hydra.run.dir": "folder",
    **{name: name for name in ("epochs", "batch_size", "lr", "validation", "seed", "device")},
}  # fmt: skip
# what else it says otherwise
_SPOKEN = {
    **_OPTIONS, "optimizer.lr": "lr", "add -m to run every combination of them": "give one",
    "; the last good checkpoint stays": "",
}  # fmt: skip


def listed(words: str | Sequence[str]) -> tuple[Override, ...]:
    """Overrides out of one text or several; a word alone is a preset."""
    if not isinstance(words, str | Sequence):
        raise UserError(
            f"{short(words)}: no model\n"
            '  give the words of one, "model=vae latent.dim=8", or an aecore.Autoencoder'
        )
    try:
        found = shlex.split(words) if isinstance(words, str) else [str(word) for word in words]
    except ValueError as error:  # a quote that is not closed
        raise UserError(f"{words}: {error}\n  close it, or leave it out") from error
    return read(word if "=" in word else f"model={word}" for word in found)


def value_of(key: str, said: Sequence[Override]) -> Any:
    """The value of a key that counts, None where it is not given."""
    return next((o.value for o in reversed(said) if o.key == key), None)


def check_said(said: Sequence[Override], known: Sequence[str]) -> None:
    """Raise UserError for an override that is of none of these keys, nor of what lies below."""
    for override in said:
        key = override.key
        if any(override.is_below(one) for one in known):
            continue
        mend = f"known: {', '.join(known)}; all else are its arguments"
        if key in _ARGUMENTS:
            mend = f"it is an argument: {_ARGUMENTS[key]}={override.text or '...'}"
        near = "" if key in _ARGUMENTS else nearest(key, known)
        raise UserError(f"{override.typed}: no word for fit(){near}\n  {mend}")


@contextmanager
def in_python() -> Iterator[None]:
    """Errors in the words of `fit`, not in those of the command line."""
    try:
        yield
    except (UserError, NonFiniteLoss) as error:
        text = str(error)
        for key, name in _SPOKEN.items():
            text = text.replace(key, name)
        raise type(error)(text) from error
