"""From a node `{_target_: aecore.x.Y, key: value}` to the object, and from errors to one line.

Instead of `hydra.utils.instantiate`, which calls whatever a node names: here a target must be a
class that fills the slot it stands in, and what its constructor refuses is said in the words of
the command line.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aecore.config.folders import make_importable, own_folders
from aecore.config.targets import moved
from aecore.errors import UserError, nearest

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_OWN = "\n  the folder of a module of your own must be given: --config-dir FOLDER"


def build(node: Mapping[str, Any], path: str, base: type[T], **extra: Any) -> T:
    """The object of a node, of a class derived from `base`; `extra` arguments come from the caller.

    path: where the node stands, for messages (`latent`, `penalty.kl`).
    Raises UserError for a target that is none, unknown or missing keys, wrong types and ranges.
    """
    target = resolve(node, path, base)
    arguments = {str(key): value for key, value in node.items() if key != "_target_"}
    for key in arguments.keys() & extra.keys():
        raise UserError(f"{path}.{key}: unknown key, its value is not chosen here")
    try:
        return target(**arguments, **extra)
    except ValidationError as error:
        raise UserError(explain(error, path, known_keys(target) - extra.keys(), node)) from None
    except TypeError as error:  # a class of the user's own may come without @word
        try:
            inspect.signature(target).bind(**arguments, **extra)
        except TypeError as mismatch:
            raise UserError(f"{path}: {mismatch}, says {target.__name__}") from error
        raise


def resolve(node: Mapping[str, Any], path: str, base: type[T]) -> type[T]:
    """The class a node names, which must derive from `base`; UserError otherwise."""
    name = node.get("_target_")
    if not isinstance(name, str):
        raise UserError(f"{path}: no word was chosen here (its `_target_` is missing)")
    module, _, attribute = name.rpartition(".")
    target = vars(_imported(name, f"{path}._target_={name}")).get(attribute) if module else None
    if not (inspect.isclass(target) and issubclass(target, base)) or inspect.isabstract(target):
        raise UserError(
            f"{path}._target_={name}: no {base.__name__} of that name\n"
            f"  it must name a class derived from {base.__module__}.{base.__name__}"
        )
    if target.__module__ != module:
        raise UserError(
            f"{path}._target_={name}: this class is defined in another module\n"
            f"  name it {target.__module__}.{target.__qualname__}"
        )
    return target


def _imported(target: str, where: str) -> ModuleType:
    """The module of a class, ours or the user's own; UserError where it cannot be imported."""
    make_importable()
    module = target.rpartition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top, mend = module.partition(".")[0], ""
        old = target if top == "aecore" else error.name or ""
        if isinstance(error, ModuleNotFoundError) and (new := moved(old)) is not None:
            mend = f"\n  {old} is {new} since aecore 0.3.0"
        elif isinstance(error, ModuleNotFoundError) and error.name == top:
            places = [str(folder / f"{top}.py") for folder in own_folders()]
            mend = f"\n  it would be {' or '.join(places)}" if places else _OWN
        raise UserError(f"{where}: {error}{mend}") from error
    except Exception as error:  # whatever a module does; '..x' and '\0' are no ImportErrors
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error


def known_keys(target: type) -> set[str]:
    """The keyword arguments of a class."""
    return set(inspect.signature(target).parameters)


def validate(model: type[M], node: Mapping[str, Any], path: str = "") -> M:
    """A plain node as its pydantic model; UserError where it does not fit."""
    try:
        return model.model_validate(dict(node))
    except ValidationError as error:
        raise UserError(explain(error, path, set(model.model_fields), node)) from None


def explain(error: ValidationError, path: str, known: set[str], node: Mapping[str, Any]) -> str:
    """The first thing pydantic found wrong, as one line `key=value: mend`."""
    found = error.errors(include_url=False)
    unknown = [e for e in found if e["type"] in ("unexpected_keyword_argument", "extra_forbidden")]
    first = (unknown or found)[0]
    keys, value = _culprit(first["loc"], node)
    where = ".".join([path, *keys] if path else keys)
    if unknown:
        # a key of a nested plain node has neighbours of its own, which pydantic does not name
        near = nearest(keys[-1], known) if len(keys) == 1 else ""
        listed = f"\n  known here: {', '.join(sorted(known))}" if len(keys) == 1 else ""
        return f"{where}: unknown key{near}{listed}"
    if first["type"].startswith("missing"):
        missing = ".".join(str(part) for part in first["loc"])
        return f"{path + '.' if path else ''}{missing}: this key is missing"
    return f"{where}={_shown(value)}: {_mend(found, inside=first['input'] is not value)}"


def _culprit(loc: tuple[int | str, ...], node: Mapping[str, Any]) -> tuple[list[str], Any]:
    """The keys down to the wrong value, as far as `node` has them, and that value.

    pydantic's location goes on with list positions and names of a union's types: the whole value
    is what the user wrote, so that is what is named.
    """
    keys: list[str] = []
    value: Any = node
    for part in loc:
        if not isinstance(value, Mapping) or part not in value:
            break
        keys.append(str(part))
        value = value[part]
    return keys or [str(loc[0])], value


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(_shown(v) for v in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


_PHRASES = (
    ("Input should be ", ""),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid boolean", "true or false"),
    ("a valid string", "text"),
    ("a valid list", "a list"),
    ("String should have at least 1 character", "a word"),
    ("a valid dictionary", "keys and values below a name"),
    ("List should have at least 1 item after validation, not 0", "a list of at least 1 item"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
)


def _mend(found: list[Any], inside: bool) -> str:
    """What would be right; the alternatives of a union joined by 'or'."""
    same = [e for e in found if e["loc"][:1] == found[0]["loc"][:1]]
    texts = []
    for e in same:
        text = e["msg"]
        for phrase, plain in _PHRASES:
            text = text.replace(phrase, plain)
        if text not in texts:
            texts.append(text)
    return ("each must be " if inside else "must be ") + " or ".join(texts)
