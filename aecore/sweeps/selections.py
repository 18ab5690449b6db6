"""The configurations of many jobs: one composed for each selection of groups, values set in it.

Hydra takes a tenth of a second to compose; most jobs of a grid differ in values alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_search_path import ConfigSearchPath
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from aecore.config.arguments import Arguments
from aecore.config.compose import compose, plain, without_hydra
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


class Selections:
    """Composes the jobs of one command line; see the module."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._known: dict[tuple[str, ...], DictConfig] = {}
        self._shared: dict[tuple[Any, ...], DictConfig] = {}

    def config(self, point: Sequence[Override]) -> dict[str, Any]:
        """The resolved configuration of a point; raises UserError."""
        chosen = self._chosen(point)
        # Points that set the same keys to values of the same types share a copy: each sets all.
        key = id(chosen), *((o.key, type(o.value)) for o in point if _sets_value(o))
        if key not in self._shared:
            self._shared[key] = without_hydra(chosen)
        try:
            _set_values(self._shared[key], point)
            return plain(self._shared[key])
        except OmegaConfBaseException:
            return compose(at_point(self._arguments, point)).config  # explains the error

    def whole(self, point: Sequence[Override]) -> DictConfig:
        """The configuration of a point with Hydra's own part, a copy; raises UserError."""
        config = deepcopy(self._chosen(point))
        try:
            _set_values(config, point)
        except OmegaConfBaseException:  # which Hydra explains
            config = deepcopy(self._composed(point))
        config.hydra.overrides.task = [o.line for o in point]
        named = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            [o.parsed for o in point], named.exclude_keys, named.item_sep, named.kv_sep
        )
        return config

    def name(self, point: Sequence[Override], number: int) -> str:
        """The folder of a job below that of its sweep; UserError where it cannot be resolved."""
        if is_numbered(self._chosen(point)):
            return str(number)
        whole = self.whole(point)
        whole.hydra.job.num = number
        try:
            return str(whole.hydra.sweep.subdir)
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{SUBDIR}: cannot be resolved ({reason})") from error

    def _chosen(self, point: Sequence[Override]) -> DictConfig:
        """What the choices of a point alone give, without its values."""
        return self._composed([o for o in point if not _sets_value(o)])

    def _composed(self, point: Sequence[Override]) -> DictConfig:
        lines = tuple(o.line for o in point)
        if lines not in self._known:
            self._known[lines] = compose(at_point(self._arguments, point)).whole
        return self._known[lines]


def _set_values(config: DictConfig, point: Sequence[Override]) -> None:
    """Set the values of a point as Hydra does; raises OmegaConfBaseException."""
    for override in point:
        if _sets_value(override):
            OmegaConf.update(config, override.key, override.value, merge=True)


def _sets_value(override: Override) -> bool:
    chooses = override.group is not None or override.sign or override.is_sweep
    return not chooses and not isinstance(override.value, dict)


class ComposedLoader(ConfigLoaderImpl):
    """Hydra's loader for a launcher of this process; what was composed is not composed again."""

    def __init__(self, search_path: ConfigSearchPath, selections: Selections) -> None:
        super().__init__(search_path)
        self._selections = selections

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        """The configuration of a job, of the sweep that the master describes."""
        *job, subdir = read(sweep_overrides)
        config = self._selections.whole(job)
        master = master_config.hydra
        with open_dict(config.hydra):
            config.hydra.mode = master.mode
            config.hydra.sweep.dir = master.sweep.dir
            config.hydra.sweep.subdir = subdir.value
            config.hydra.overrides.hydra = [*master.overrides.hydra, subdir.line]
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config
