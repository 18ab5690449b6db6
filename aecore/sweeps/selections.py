"""The configurations of many jobs: one composed for each selection of groups, values set in it.

Hydra takes a tenth of a second to compose; most jobs of a grid differ in values alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aecore.config.arguments import Arguments
from aecore.config.compose import compose
from aecore.config.overrides import SUBDIR, Override, read
from aecore.errors import UserError

Point = tuple[Override, ...]  # of a grid: one value for each key
_NUMBER = "${hydra.job.num}"


def is_numbered(whole: DictConfig) -> bool:
    """Whether the folders of jobs are their numbers, as they are by default."""
    sweep = OmegaConf.to_container(whole.hydra.sweep)
    return isinstance(sweep, dict) and sweep.get("subdir") == _NUMBER


def at_point(arguments: Arguments, point: Sequence[Override]) -> Arguments:
    """The command line of one job."""
    hydras = (o for o in arguments.overrides if o.of_hydra)
    return replace(arguments, overrides=(*hydras, *point), multirun=False)


@dataclass(frozen=True)
class _Selection:
    """What Hydra composed for the choices of some jobs, with its own part."""

    whole: DictConfig

    @cached_property
    def plain(self) -> dict[str, Any]:
        """All but Hydra's own part, resolved."""
        return {str(key): _resolved(self.whole[key]) for key in self.whole if key != "hydra"}

    @cached_property
    def interpolated(self) -> list[str]:
        """The keys whose values depend on others."""
        return [key for name in self.plain for key in _interpolated(self.whole, str(name), "")]

    def takes(self, override: Override) -> bool:
        """Whether it has the key of an override as a plain value."""
        node: Any = self.plain
        for part in override.key.split("."):
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return not isinstance(node, dict)

    def with_values(self, values: Sequence[Override]) -> dict[str, Any]:
        """The resolved configuration with values set; what did not change is shared."""
        config = dict(self.plain)
        nodes = {o.key: _node(self.whole, o.key) for o in values}
        copied: set[int] = set()
        try:
            _set_all(self.whole, values)
            for key in (*nodes, *self.interpolated):
                _put(config, key, _resolved(OmegaConf.select(self.whole, key)), copied)
        finally:
            for key, node in nodes.items():
                parent, _, name = key.rpartition(".")
                at = OmegaConf.select(self.whole, parent) if parent else self.whole
                at._set_item_impl(name, node)
        return config


class Selections:
    """Composes the jobs of one command line; see the module."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._found: dict[tuple[str, ...], _Selection] = {}

    def config(self, point: Sequence[Override]) -> dict[str, Any]:
        """The resolved configuration of a point, not to be changed; raises UserError."""
        selection, values = self._parts(point)
        try:
            return selection.with_values(values)
        except OmegaConfBaseException:
            return compose(at_point(self._arguments, point)).config

    def whole(self, job: Sequence[str]) -> DictConfig:
        """The configuration of a job with Hydra's own part, a copy; raises UserError."""
        selection, values = self._parts(read(job))
        found = deepcopy(selection.whole)
        _set_all(found, values)
        found.hydra.overrides.task = list(job)
        named = found.hydra.job.config.override_dirname
        found.hydra.job.override_dirname = get_overrides_dirname(
            [o.parsed for o in read(job)], named.exclude_keys, named.item_sep, named.kv_sep
        )
        return found

    def name(self, point: Sequence[Override], number: int) -> str:
        """The folder of a job below that of its sweep; UserError where it cannot be resolved."""
        if is_numbered(self._parts(point)[0].whole):
            return str(number)
        whole = self.whole([o.line for o in point])
        whole.hydra.job.num = number
        try:
            return str(whole.hydra.sweep.subdir)
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{SUBDIR}: cannot be resolved ({reason})") from error

    def _parts(self, point: Sequence[Override]) -> tuple[_Selection, list[Override]]:
        """The selection of a point and the values that are set in it."""
        values = [o for o in point if _is_value(o)]
        selection = self._selection([o for o in point if o not in values])
        if all(map(selection.takes, values)):
            return selection, values
        return self._selection(point), []

    def _selection(self, point: Sequence[Override]) -> _Selection:
        lines = tuple(o.line for o in point)
        if lines not in self._found:
            self._found[lines] = _Selection(compose(at_point(self._arguments, point)).whole)
        return self._found[lines]


def _is_value(override: Override) -> bool:
    """Whether it only sets a value."""
    chooses = override.group is not None or override.sign or override.is_sweep
    return not chooses and not isinstance(override.value, dict)


def _set_all(config: DictConfig, values: Sequence[Override]) -> None:
    """Set values as Hydra does."""
    for override in values:
        OmegaConf.update(config, override.key, override.value, merge=True)


def _node(config: DictConfig, key: str) -> Any:
    """A copy of what stands at a key, interpolations as they are."""
    parent, _, name = key.rpartition(".")
    at = OmegaConf.select(config, parent) if parent else config
    return deepcopy(at._get_node(name))


def _resolved(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _interpolated(config: DictConfig, name: str, place: str) -> Iterator[str]:
    """The keys below a name whose values hold an interpolation; of a list, its own."""
    node, key = config._get_node(name), f"{place}{name}"
    if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
        for below in node:
            yield from _interpolated(node, str(below), f"{key}.")
    elif isinstance(node, ListConfig) and not node._is_none():
        if "${" in str(OmegaConf.to_container(node, resolve=False)):
            yield key
    elif node is not None and OmegaConf.is_interpolation(config, name):
        yield key


def _put(config: dict[str, Any], key: str, value: Any, copied: set[int]) -> None:
    """Set a value; the mappings on the way are copied first, once."""
    *place, name = key.split(".")
    node = config
    for part in place:
        if id(node[part]) not in copied:
            node[part] = dict(node[part])
            copied.add(id(node[part]))
        node = node[part]
    node[name] = value
