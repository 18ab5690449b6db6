"""How a word declares its arguments: annotated, keyword-only, checked when it is built.

`@word` checks types and ranges strictly (no text for a number, no NaN, no unknown key), for
whoever builds the word: the YAML door or a notebook. `aecore.build` turns what it raises into
one line for the user.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, validate_call

_F = TypeVar("_F", bound=Callable[..., None])

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True)


def word(init: _F) -> _F:
    """Check the arguments of a constructor; raises pydantic.ValidationError."""
    checked: _F = validate_call(config=STRICT)(init)
    return checked
