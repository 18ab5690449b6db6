"""Configurations of a sweep's jobs that were composed to be checked, kept for their launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

Composed = Mapping[tuple[str, ...], DictConfig]


class Loader(ConfigLoaderImpl):
    """Hydra's loader, but a job that was composed already is not composed again: 0.1 s each."""

    def __init__(self, search_path: ConfigSearchPath, composed: Composed) -> None:
        """composed: the configurations, with Hydra's own part, by the overrides of each job."""
        super().__init__(search_path)
        self._composed = composed

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        """The configuration of a job, of the sweep that the master describes."""
        *job, subdir = sweep_overrides
        found = self._composed.get(tuple(job))
        if found is None:
            return super().load_sweep_config(master_config, list(sweep_overrides))
        master = master_config.hydra
        with open_dict(found.hydra):
            found.hydra.mode = master.mode
            found.hydra.sweep.dir = master.sweep.dir
            found.hydra.sweep.subdir = OverridesParser.create().parse_override(subdir).value()
            found.hydra.overrides.hydra = [*master.overrides.hydra, subdir]
        OmegaConf.copy_cache(from_config=master_config, to_config=found)
        return found
