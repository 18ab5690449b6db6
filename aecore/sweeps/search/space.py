"""Hydra's grammar of sweeps as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    RangeSweep,
    Sweep,
    Transformer,
)
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from aecore.config.overrides import Override
from aecore.errors import UserError

Space = Mapping[str, BaseDistribution]


def split(
    overrides: Sequence[Override], loader: ConfigLoader | None = None
) -> tuple[list[Override], dict[str, BaseDistribution]]:
    """The overrides that are fixed, and the space of the others; of a key the last one counts.

    Raises UserError for a space that cannot be searched.
    """
    last = {override.name: override for override in overrides}
    fixed = [o for o in last.values() if not o.is_sweep]
    return fixed, {name: distribution(o, loader) for name, o in last.items() if o.is_sweep}


def distribution(override: Override, loader: ConfigLoader | None) -> BaseDistribution:
    """The distribution of the values of an override; raises UserError.

    `interval(a,b)` is continuous, `int(interval(a,b))` its integers including both ends,
    `range(a,b,step)` excludes b, `tag(log,...)` is log-uniform; lists, `choice(...)`
    and `glob(...)` are unordered categories.
    """
    value, text = override.value, override.typed
    tags: set[str] = value.tags if isinstance(value, Sweep) else set()  # a glob has none
    if tags - {"log"}:
        raise UserError(f"{text}: no tag {sorted(tags - {'log'})[0]!r}", "known: log")
    log = "log" in tags
    try:
        if isinstance(value, IntervalSweep):
            assert value.start is not None and value.end is not None
            if isinstance(value.start, int) and isinstance(value.end, int):
                return IntDistribution(value.start, value.end, log=log)
            return FloatDistribution(value.start, value.end, log=log)
        if isinstance(value, RangeSweep):
            return _range(list(value.range()), log)
        if log:
            raise ValueError("tag(log,...) is for interval and range")
        categories = (
            [Transformer.str(item) for item in value.list]  # in order, even if to be shuffled
            if isinstance(value, ChoiceSweep)
            else [one.text for one in override.single(loader)]
        )
        if len({*categories}) < len(categories):
            raise ValueError("a value stands there twice; once is enough")
        return CategoricalDistribution(tuple(categories))
    except ValueError as error:
        raise UserError(f"{text}: cannot be searched", str(error)) from None


def _range(values: list[int] | list[float], log: bool) -> BaseDistribution:
    """The distribution of evenly spaced values."""
    if not values:
        raise ValueError("the range is empty; its end is not part of it")
    low, high = min(values), max(values)
    step = abs(values[1] - values[0]) if len(values) > 1 else 1
    if all(isinstance(value, int) for value in values):
        return IntDistribution(int(low), int(high), log=log, step=int(step))
    if log:
        raise ValueError("a range with a fractional step has no log; use interval")
    return FloatDistribution(low, high, step=step)


def overrides_of(params: Mapping[str, Any]) -> list[str]:
    """The values of a trial as overrides; categories are already in Hydra's grammar."""
    return [f"{key}={value}" for key, value in params.items()]


def corners(space: Space) -> Iterable[dict[str, Any]]:
    """A few points that cover both ends of every interval and each category once."""
    categories = [d.choices for d in space.values() if isinstance(d, CategoricalDistribution)]
    for n in range(max([2, *map(len, categories)])):
        point: dict[str, Any] = {}
        for name, d in space.items():
            if isinstance(d, CategoricalDistribution):
                point[name] = d.choices[n % len(d.choices)]
            elif isinstance(d, IntDistribution | FloatDistribution):
                point[name] = d.high if n % 2 else d.low
        yield point
