"""Errors that end a run, each with an exit status; caught in `aecore.cli` only.

`SkippedError` does not end a run: a figure or metric is left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from signal import SIGINT

LONGEST = 76  # characters of a hint that lists names
_LONGEST = 1000  # characters of a line
Hint = str | Mapping[str, object] | None


class UserError(Exception):
    """A wrong option, value, file or combination.

    Its text has at most three lines: the problem, then the hint, indented.

    problem: what is wrong. hint: how to correct it, None if that is obvious.
    """

    exit_status = 2

    def __init__(self, problem: str, hint: Hint = None) -> None:
        super().__init__(problem, hint)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        text = self.summary if self.advice is None else f"{self.summary}\n  {self.advice}"
        return "\n".join(map(_cut, text.splitlines()))

    @property
    def summary(self) -> str:
        """The text without the hint."""
        return self.problem

    @property
    def advice(self) -> str | None:
        """The text of the hint."""
        if self.hint is None or isinstance(self.hint, str):
            return self.hint
        return f"use {', or '.join(option(key, value) for key, value in self.hint.items())}"

    def with_hint(self, hint: Hint) -> UserError:
        """The same error with another hint."""
        return UserError(self.problem, hint)


class ConfigError(UserError):
    """An option of the configuration that is wrong: `key=value: problem`, then the hint.

    key: the full name of the option, `optimizer.lr`. value: its value, `...` to leave it
    out of the text. hint: a text, or valid options, by their keys.
    """

    def __init__(self, key: str, value: object, problem: str, hint: Hint = None) -> None:
        Exception.__init__(self, key, value, problem, hint)
        self.key = key
        self.value = value
        self.problem = problem
        self.hint = hint

    @property
    def summary(self) -> str:
        """`key=value: problem`."""
        place = self.key if self.value is ... else _one_line(option(self.key, self.value))
        return f"{place}: {self.problem}"

    def with_hint(self, hint: Hint) -> ConfigError:
        """The same error with another hint."""
        return ConfigError(self.key, self.value, self.problem, hint)

    def renamed(self, names: Mapping[str, str]) -> ConfigError:
        """The same error with other names of options, such as arguments in Python.

        names: the other names of keys; that of a node is also that of the keys below it, so that
        `{"dataset": "evaluate.ood.kmnist"}` moves `dataset.root`.
        """
        hint = self.hint
        if isinstance(hint, Mapping):
            hint = {_renamed(key, names): value for key, value in hint.items()}
        return ConfigError(_renamed(self.key, names), self.value, self.problem, hint)


class NonFiniteError(Exception):
    """A loss became NaN or infinite: the run ends, its last valid checkpoint is kept."""

    exit_status = 3


class Interrupted(KeyboardInterrupt):
    """A signal, as Ctrl-C sends one: what was trained is saved and can be resumed."""

    def __init__(self, signum: int = SIGINT) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_status(self) -> int:
        """As shells tell of signals: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signum


class SkippedError(Exception):
    """A figure or a metric does not apply to this model or these data; with the reason."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as ` (did you mean 'vae'?)`, or an empty string if nothing is similar."""
    begun = [w for w in sorted(known) if len(name) > 2 and w.startswith(name)][:2]
    near = begun or difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(repr(w) for w in near)}?)" if near else ""


def _cut(line: str) -> str:
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}"


def _one_line(text: str) -> str:
    return _cut(" ".join(text.split())) if "\n" in text else text


def short(value: object) -> str:
    """A value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def normal(name: str) -> str:
    """A name without its spelling: `VQ-VAE` and `vq_vae` are the same."""
    return "".join(c for c in name.lower() if c.isalnum())


def option(key: str, value: object) -> str:
    """`key=value` as on the command line: `dataset.classes=[3,5]`, `sampler.covariance=null`."""
    return f"{key}={shown(value)}"


def shown(value: object) -> str:
    """A value as on the command line."""
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(shown, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _renamed(key: str, names: Mapping[str, str]) -> str:
    """The key, its longest part that has another name under that one."""
    end = len(key)
    while end > 0:
        if key[:end] in names:
            return names[key[:end]] + key[end:]
        end = key.rfind(".", 0, end)
    return key
