"""The decorator of components: annotated keyword arguments, checked at construction.

`@component` checks types and ranges strictly, in YAML and in Python: no text for a number, no NaN,
no unknown key. `aecore.config.build` converts its errors to one line for the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, Any, TypeVar, dataclass_transform, get_type_hints

from pydantic import ConfigDict, Field, validate_call

_F = TypeVar("_F", bound=Callable[..., None])

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
PositiveFloat = Annotated[float, Field(gt=0)]
LearningRate = Annotated[float, Field(gt=0, le=1e6)]  # larger ones never train
NonNegativeFloat = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True)

_ARGUMENTS = "_arguments"  # attribute of an object: the arguments of its constructor


def component(init: _F) -> _F:
    """Check the arguments of a constructor, and store them; raises pydantic.ValidationError."""
    checked: _F = validate_call(config=STRICT)(init)

    @wraps(init)
    def kept(self: Any, *args: Any, **arguments: Any) -> None:
        checked(self, *args, **arguments)
        if type(self).__init__ is kept:  # not the constructor of a base class
            vars(self)[_ARGUMENTS] = arguments

    return kept  # type: ignore[return-value]


@dataclass_transform(kw_only_default=True, eq_default=False)
class Component:
    """A component whose annotated fields are the keyword arguments of its constructor, checked.

    What else it is made of is set in `__post_init__`. A class may have a constructor instead.
    options=False: of a base class, whose fields say what its subclasses are.
    """

    def __init_subclass__(cls, *, options: bool = True) -> None:
        super().__init_subclass__()
        owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
        written = issubclass(owner, Component) and "__dataclass_fields__" not in vars(owner)
        if options and not written:
            dataclass(kw_only=True, eq=False, repr=False)(cls)
            cls.__init__.__annotations__ = dict(_field_types(cls))
            cls.__init__ = component(cls.__init__)  # type: ignore[method-assign]


def _field_types(cls: type) -> Iterator[tuple[str, Any]]:
    """Each field with its type, which is that of the module of the class that declares it."""
    names = {field.name for field in fields(cls)}
    for base in reversed(cls.__mro__):
        declared = {k: v for k, v in vars(base).get("__annotations__", {}).items() if k in names}
        here = type(base.__name__, (), {"__annotations__": declared, "__module__": base.__module__})
        yield from get_type_hints(here, include_extras=True).items()


def config_of(value: Any) -> Any:
    """The node of a component, `{_target_: aecore.x.Y, key: value}`; of lists, of each.

    The constructor must be decorated with `@component`, its arguments plain or such components;
    for others the node has only a `_target_`.
    """
    if isinstance(value, list | tuple):
        return [config_of(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): config_of(one) for key, one in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value)
    target = f"{kind.__module__}.{kind.__qualname__}"
    return {"_target_": target, **config_of(vars(value).get(_ARGUMENTS, {}))}
