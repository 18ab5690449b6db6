"""Errors of pydantic as errors that name the option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aecore.config.near import keys_below
from aecore.errors import ConfigError, nearest

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_WANTED = {  # expected values, by the type of pydantic's error
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_too_short": "text of {min_length} or more characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "list_type": "a list",
    "too_short": "a list of {min_length} or more items",
    "too_long": "a list of {max_length} or fewer items",
    "dict_type": "a mapping of keys to values",
    "literal_error": "{expected}",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}


def explain_validation(
    error: ValidationError, path: str, known: set[str], node: Mapping[str, Any]
) -> ConfigError:
    """Return the first error of pydantic, unknown keys first.

    path: key of the node, empty for the whole configuration. known: the keys it may have.
    """
    found = error.errors(include_url=False)
    unknown = [e for e in found if e["type"] in _UNKNOWN]
    first = (unknown or found)[0]
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
    alternatives = [e for e in found if e["loc"][:1] == first["loc"][:1]]  # of a union
    problem = _problem(alternatives, inside=first["input"] is not value)
    return ConfigError(_joined(path, *keys), value, problem)


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
    """The expected value, or that of each item; pydantic's message if there is no text here."""
    for error in errors:
        if error["type"] not in _WANTED:
            return error["msg"]
    wanted = dict.fromkeys(_WANTED[e["type"]].format(**_limits(e)) for e in errors)
    return f"{'each ' if inside else ''}must be {' or '.join(wanted)}"


def _limits(error: ErrorDetails) -> dict[str, Any]:
    """The limits that were exceeded; 0.0 as 0."""
    limits = error.get("ctx", {})
    return {k: f"{v:.15g}" if isinstance(v, float) else v for k, v in limits.items()}
