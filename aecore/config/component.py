"""How a component declares its arguments: annotated, keyword-only, checked when it is built.

`@component` checks types and ranges strictly: no text for a number, no NaN, no unknown key, from
YAML and in Python alike. `aecore.config.build` turns what it raises into one line for the user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, validate_call

_F = TypeVar("_F", bound=Callable[..., None])

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
PositiveFloat = Annotated[float, Field(gt=0)]
LearningRate = Annotated[float, Field(gt=0, le=1e6)]  # beyond it nothing is learned, ever
NonNegativeFloat = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True)


_SAID = "_said"  # of an object: the arguments that it was made with


def component(init: _F) -> _F:
    """Check the arguments of a constructor, and keep them; raises pydantic.ValidationError."""
    checked: _F = validate_call(config=STRICT)(init)

    @wraps(init)
    def kept(self: Any, *args: Any, **arguments: Any) -> None:
        checked(self, *args, **arguments)
        if type(self).__init__ is kept:  # and not the constructor of a base
            vars(self)[_SAID] = arguments

    return kept  # type: ignore[return-value]


def config_of(value: Any) -> Any:
    """The node of a component, `{_target_: aecore.x.Y, key: value}`; of lists, of each.

    The constructor must be decorated with `@component`, its arguments plain or such components;
    of others only the `_target_` is given.
    """
    if isinstance(value, list | tuple):
        return [config_of(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): config_of(one) for key, one in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value)
    target = f"{kind.__module__}.{kind.__qualname__}"
    return {"_target_": target, **config_of(vars(value).get(_SAID, {}))}
