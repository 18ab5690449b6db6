"""Options of loggers that were read from the environment: used, but never written to disk.

A token belongs into an environment variable, `logger.token='${oc.env:TOKEN}'`. Its value is kept
apart from the configuration, which has null in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aecore.config.tree import at, leaves, put
from aecore.errors import UserError

_ENVIRONMENT = "oc.env"
_ROOT = "logger"


def secret_keys(config: DictConfig) -> list[str]:
    """The keys of `logger` whose values come from the environment, or repeat such a value."""
    if not isinstance(config.get(_ROOT), DictConfig):
        return []
    node: Any = OmegaConf.to_container(config[_ROOT])
    typed = dict(leaves(node, _ROOT))
    named = [key for key, value in typed.items() if reads_environment(str(value))]
    if not named:
        return []
    resolved: Any = OmegaConf.to_container(config[_ROOT], resolve=True)
    values = dict(leaves(resolved, _ROOT))
    secrets = [str(values[key]) for key in named if values.get(key)]
    return [k for k, v in values.items() if k in named or any(s in str(v) for s in secrets)]


def reads_environment(text: str) -> bool:
    """Whether an interpolation in a text reads an environment variable."""
    return "${" in text and _ENVIRONMENT in text


def without_secrets(
    config: Mapping[str, Any], keys: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A configuration with null in the place of some values, and these values by their keys."""
    public = dict(config)
    secrets = {key: at(config, key) for key in keys}
    for key in secrets:
        if public[_ROOT] is config[_ROOT]:
            public[_ROOT] = deepcopy(config[_ROOT])
        put(public, key, None)
    return public, secrets


def with_secrets(node: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The node `logger` with its secret values."""
    whole = {_ROOT: deepcopy(dict(node))}
    for key, value in secrets.items():
        put(whole, key, value)
    return whole[_ROOT]


@contextmanager
def masking(secrets: Mapping[str, Any]) -> Iterator[None]:
    """Replace secret values in the text of a UserError."""
    try:
        yield
    except UserError as error:
        if not secrets:
            raise
        advice = error.advice and masked(error.advice, secrets)
        raise UserError(masked(error.summary, secrets), advice) from None


def masked(text: str, secrets: Mapping[str, Any]) -> str:
    """A text with `***` for each secret value."""
    for value in sorted(map(str, secrets.values()), key=len, reverse=True):
        text = text.replace(value, "***") if value else text
    return text
