"""Configurations of a sweep's jobs from what was composed to check them."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from aecore.sweeps.selections import Selections


class Loader(ConfigLoaderImpl):
    """Hydra's loader, but what was composed already is not composed again: 0.1 s each."""

    def __init__(self, search_path: ConfigSearchPath, selections: Selections) -> None:
        super().__init__(search_path)
        self._selections = selections

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        """The configuration of a job, of the sweep that the master describes."""
        *job, subdir = sweep_overrides
        found = self._selections.whole(job)
        master = master_config.hydra
        with open_dict(found.hydra):
            found.hydra.mode = master.mode
            found.hydra.sweep.dir = master.sweep.dir
            found.hydra.sweep.subdir = OverridesParser.create().parse_override(subdir).value()
            found.hydra.overrides.hydra = [*master.overrides.hydra, subdir]
        OmegaConf.copy_cache(from_config=master_config, to_config=found)
        return found
