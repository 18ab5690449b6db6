"""Values of a configuration: made flat, read from overrides, compared and shown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from aecore.config.overrides import Override
from aecore.config.tree import leaves

# config groups, the most informative first
GROUPS = (
    "experiment", "model", "dataset", "network", "latent", "noise", "penalty", "reconstruction",
    "prior", "objective", "sampler", "init", "augment", "optimizer", "scheduler", "trainer",
    "trainer.accelerator", "evaluate.noise",
)  # fmt: skip

_SPEAKING = ("experiment", "model", "dataset")  # their values need no key beside them


def flat(node: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; lists stay whole, and of empty mappings nothing."""
    below = (leaf for key, value in node.items() for leaf in leaves(value, str(key)))
    return {key: value for key, value in below if not isinstance(value, Mapping)}


def as_choices(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Choices as they are shown: `l1+contractive` for several; `evaluate.noise` by its key."""
    joined = {k: "+".join(map(str, v)) if isinstance(v, list) else v for k, v in choices.items()}
    return {str(key).rpartition("@")[2].replace("/", "."): v for key, v in joined.items()}


def as_values(overrides: Iterable[Override]) -> dict[str, Any]:
    """The values of overrides, by key; several options of a group as they are shown."""
    values = {o.key: o.text if o.is_sweep else o.value for o in overrides}
    return {
        key: "+".join(map(str, value)) if isinstance(value, list) and "." not in key else value
        for key, value in values.items()
    }


def frozen(value: Any) -> str:
    """A value as text that is equal where the value is: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=str)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: Any) -> str:
    """A value as a reader would type it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{','.join(shown(v) for v in value)}]"
    if isinstance(value, Mapping):
        name = str(value.get("_target_", "")).rpartition(".")[2]
        rest = ",".join(f"{k}={shown(v)}" for k, v in value.items() if k != "_target_")
        return f"{name}({rest})"
    return str(value)


def label(values: Mapping[str, Any], keys: Sequence[str]) -> str:
    """`vae · latent.dim=8`: what speaks for itself without its key."""
    alone = len(keys) == 1
    return " · ".join(
        shown(values[key])
        if key in _SPEAKING or (alone and isinstance(values[key], str))
        else f"{key}={shown(values[key])}"
        for key in keys
        if key in values
    )
