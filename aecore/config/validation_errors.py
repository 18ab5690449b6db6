"""Errors of pydantic as errors that name the option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aecore.config.near import keys_below
from aecore.errors import ConfigError, nearest

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_EXPECTED = "Input should be "  # how most messages of pydantic begin


def explain_validation(
    error: ValidationError, path: str, known: set[str], node: Mapping[str, Any]
) -> ConfigError:
    """Return the first error of pydantic, unknown keys first.

    path: key of the node, empty for the whole configuration. known: the keys it may have.
    """
    errors = error.errors(include_url=False)
    unknown = [e for e in errors if e["type"] in _UNKNOWN]
    first = (unknown or errors)[0]
    keys, value = _culprit(first["loc"], node)
    if unknown:
        if len(keys) > 1:  # a key of a nested plain node, whose known keys pydantic does not name
            return ConfigError(_joined(path, *keys), ..., "unknown key")
        hint = f"known here: {', '.join(sorted(known))}"
        return ConfigError(
            _joined(path, *keys), ..., f"unknown key{nearest(keys[-1], known)}", hint
        )
    if first["type"].startswith("missing"):
        return ConfigError(_joined(path, *map(str, first["loc"])), ..., "this key is missing")
    if first["type"] in ("model_type", "dict_type") and (below := keys_below(_joined(path, *keys))):
        hint = f"it has the keys {', '.join(below)}"
        return ConfigError(_joined(path, *keys), value, "must be a mapping of keys to values", hint)
    alternatives = [e for e in errors if _culprit(e["loc"], node)[0] == keys]  # of a union
    plain = [e for e in alternatives if e["type"] != "dict_type"]  # else no node but one value
    problem = _problem(plain or alternatives, inside=first["input"] is not value)
    key = _joined(path, *keys)
    one = first["type"] == "list_type" and isinstance(value, int | float)
    return ConfigError(key, value, problem, {key: [value]} if one else None)


def _joined(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def _culprit(loc: tuple[int | str, ...], node: Mapping[str, Any]) -> tuple[list[str], Any]:
    """The keys down to the wrong value, as far as `node` has them, and that value.

    pydantic's location also has list positions and types of a union; the error names the whole
    value, as the user wrote it.
    """
    keys: list[str] = []
    value: Any = node
    for part in loc:
        if not isinstance(value, Mapping) or part not in value:
            break
        keys.append(str(part))
        value = value[part]
    return keys or [str(loc[0])], value


def _problem(errors: list[ErrorDetails], inside: bool) -> str:
    """What pydantic says: the expected value, or that of each item."""
    messages = dict.fromkeys(error["msg"] for error in errors)
    if other := next((one for one in messages if not one.startswith(_EXPECTED)), None):
        return other
    expected = " or ".join(one.removeprefix(_EXPECTED) for one in messages)
    return f"{'each ' if inside else ''}must be {expected}"
