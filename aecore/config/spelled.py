"""What was meant by arguments in the style of other programs, `--model vae` or `train`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from aecore.config.folders import command, groups, known
from aecore.config.near import meant, spelling

_FIRST = ("task", "model", "dataset")  # groups whose options are most likely named alone


def command_meant(argv: Sequence[str], flags: Sequence[str]) -> str:
    """A hint: the command that was meant, or where options are listed if some part is not clear.

    flags: those that stay as they are, with their values.
    """
    words = [*_overrides(_joined(argv))]
    if any(word is None for word in words):
        return f"write for example model=vae; `{command()} --help` lists the options"
    line = shlex.join([*flags, *(word for word in words if word is not None)])
    return f"write: {command()} {line}"


def _joined(argv: Sequence[str]) -> list[str]:
    """The arguments without spaces around `=`, after commas and in brackets: `model = vae`."""
    joined: list[str] = []
    for argument in argv:
        last = joined[-1] if joined else ""
        inside = "=" in last and (last.endswith(",") or last.count("[") > last.count("]"))
        value = last.endswith("=") and "=" not in argument and not argument.startswith("-")
        if joined and (inside or value or argument.startswith("=")):
            joined[-1] += argument
        else:
            joined.append(argument)
    return joined


def _overrides(argv: list[str]) -> Iterator[str | None]:
    """Each argument as an override; None for what is not known."""
    while argv:
        argument = argv.pop(0)
        key, equals, value = argument.lstrip("-").partition("=")
        if equals:
            yield _named(key, value) if argument.startswith("-") else argument
        elif argument.startswith("-") or key in groups():
            yield _named(key, argv.pop(0)) if argv else None
        else:
            yield _alone(argument)


def _named(key: str, value: str) -> str | None:
    if key in groups():
        return f"{key}={value}"
    return meant(key.replace("-", "_"), value)


def _alone(name: str) -> str | None:
    """An option by its name alone."""
    if name == "last" or "/" in name:
        return f"run={name}"
    for group in (*_FIRST, *(g for g in groups() if g not in _FIRST)):
        if name in known(group):
            return f"{group}={name}"
    candidates = (spelling(group, name) for group in _FIRST)
    return next((option for option in candidates if option is not None), None)
