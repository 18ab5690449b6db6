"""The classes that a `_target_` may name: those of conf/, and their names in earlier versions."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache

from aecore.config.folders import CONF, HOME, STUDIES

_BUILT_WITHOUT_YAML = frozenset({"aecore.data.sources.given.Given"})  # by `aecore.fit`
_TARGET = re.compile(r"\b_target_: *([\w.]+)")
_MOVED = {  # packages and modules of versions before 0.3.0
    "aecore.data": "aecore.data.sources",
    "aecore.figures": "aecore.evaluation.figures",
    "aecore.init": "aecore.training.init",
    "aecore.latents": "aecore.model.latents",
    "aecore.loggers": "aecore.training.loggers",
    "aecore.metrics": "aecore.evaluation.metrics",
    "aecore.networks": "aecore.model.networks",
    "aecore.noise": "aecore.model.noise",
    "aecore.objectives": "aecore.model.objectives",
    "aecore.optimizers": "aecore.training.optimizers",
    "aecore.penalties": "aecore.model.penalties",
    "aecore.priors": "aecore.model.priors",
    "aecore.reconstruction": "aecore.model.reconstruction",
    "aecore.samplers": "aecore.model.samplers",
    "aecore.words": "aecore.config.component",
}


@cache
def known_targets() -> frozenset[str]:
    """Every class that the YAML files of this package name, and the few built without one."""
    files = [*CONF.rglob("*.yaml"), *(HOME / STUDIES).rglob("*.yaml")]
    named = (name for file in files for name in _TARGET.findall(file.read_text("utf-8")))
    return _BUILT_WITHOUT_YAML.union(named)


def moved(name: str) -> str | None:
    """The current name of a class or package of versions before 0.3.0, None if unknown."""
    if name in _MOVED:
        return _MOVED[name]
    for old, new in _MOVED.items():
        if name.startswith(f"{old}."):
            path = new + name.removeprefix(old)
            module = path.rpartition(".")[0]
            inside = [target for target in known_targets() if target.rpartition(".")[0] == module]
            return next(iter(get_close_matches(path, inside, n=1, cutoff=0)), None)
    return None
