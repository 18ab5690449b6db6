"""From a node `{_target_: aecore.x.Y, key: value}` to the object.

Unlike for `hydra.utils.instantiate`, which calls any target, a target must be a subclass of the
expected base class, and errors of its constructor are raised as a `ConfigError` with the option.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aecore.config.folders import make_importable, user_folders
from aecore.config.targets import moved
from aecore.config.validation_errors import explain_validation
from aecore.errors import ConfigError

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def build(node: Mapping[str, Any], path: str, base: type[T], **extra: Any) -> T:
    """Build the object of a node, of a class derived from `base`.

    path: key of the node, for messages (`latent`, `penalty.kl`). extra: arguments that come
    from the caller.
    Raises ConfigError for invalid targets, unknown or missing keys, wrong types and ranges.
    """
    target = resolve(node, path, base)
    arguments = {str(key): value for key, value in node.items() if key != "_target_"}
    for key in arguments.keys() & extra.keys():
        raise ConfigError(f"{path}.{key}", ..., "unknown key, its value is not chosen here")
    try:
        return target(**arguments, **extra)
    except ValidationError as error:
        raise explain_validation(error, path, known_keys(target) - extra.keys(), node) from None
    except TypeError as error:  # a class of the user may not use @component
        try:
            inspect.signature(target).bind(**arguments, **extra)
        except TypeError as mismatch:
            raise ConfigError(path, ..., f"{mismatch}, says {target.__name__}") from error
        raise


def resolve(node: Mapping[str, Any], path: str, base: type[T]) -> type[T]:
    """Return the class a node names, which must derive from `base`; ConfigError otherwise."""
    name, key = node.get("_target_"), f"{path}._target_"
    if not isinstance(name, str):
        raise ConfigError(path, ..., "no component was chosen here (its `_target_` is missing)")
    module, _, attribute = name.rpartition(".")
    target = vars(_imported(key, name)).get(attribute) if module else None
    if not (inspect.isclass(target) and issubclass(target, base)) or inspect.isabstract(target):
        hint = f"it must name a class derived from {base.__module__}.{base.__name__}"
        raise ConfigError(key, name, f"no {base.__name__} of that name", hint)
    if target.__module__ != module:
        hint = f"name it {target.__module__}.{target.__qualname__}"
        raise ConfigError(key, name, "this class is defined in another module", hint)
    return target


def _imported(key: str, name: str) -> ModuleType:
    """The module of a class, built-in or the user's own; ConfigError if it cannot be imported."""
    module = name.rpartition(".")[0]
    make_importable()
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top, hint = module.partition(".")[0], None
        old = name if top == "aecore" else error.name or ""
        if isinstance(error, ModuleNotFoundError) and (new := moved(old)) is not None:
            hint = f"{old} is {new} since aecore 0.3.0"
        elif isinstance(error, ModuleNotFoundError) and error.name == top:
            places = [str(folder / f"{top}.py") for folder in user_folders()]
            hint = "the folder of a module of your own must be given: --config-dir FOLDER"
            hint = f"it would be {' or '.join(places)}" if places else hint
        raise ConfigError(key, name, str(error), hint) from error
    except Exception as error:  # any error of a module; '..x' and '\0' are no ImportErrors
        raise ConfigError(key, name, f"{type(error).__name__}: {error}") from error


def known_keys(target: type) -> set[str]:
    """Return the keyword arguments of a class."""
    return set(inspect.signature(target).parameters)


def validate(model: type[M], node: Mapping[str, Any], path: str = "") -> M:
    """Return a plain node as its pydantic model; ConfigError if it is invalid."""
    try:
        return model.model_validate(dict(node))
    except ValidationError as error:
        raise explain_validation(error, path, set(model.model_fields), node) from None
