"""What of a configuration reaches outside the run folder: folders written to, and servers.

A recorded configuration may come from anywhere. It may name data to read, but where something is
written, or which host is spoken to, is for the user of today to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aecore.config.folders import expanded
from aecore.config.tree import leaves

_WRITTEN = re.compile(r"paths\.(data_dir|output_dir)|(dataset|evaluate\.ood\.[\w-]+)\.cache_dir")
_LOGGERS = "aecore.training.loggers"
_INSIDE = {f"{_LOGGERS}.tensorboard.TensorBoard", f"{_LOGGERS}.step_csv.StepCSV"}
_WANDB = f"{_LOGGERS}.wandb.WandB"  # offline, it writes into the run folder too
_NAMES = {"logger._target_", "logger.project", "logger.experiment"}  # these lead nowhere


def is_place(key: str) -> bool:
    """Whether a key of the configuration may lead outside the run folder."""
    if key.startswith("logger."):
        return key not in _NAMES
    return _WRITTEN.fullmatch(key) is not None


def places(config: Mapping[str, Any]) -> dict[str, Any]:
    """What in a validated configuration leads outside the run folder, by its key.

    Not `paths.output_dir`: what a run writes there, `logger.uri` alone says.
    """
    return dict(_places(config))


def _places(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "paths.data_dir", config["paths"]["data_dir"]
    sets = {f"evaluate.ood.{name}": node for name, node in config["evaluate"]["ood"].items()}
    for key, node in {"dataset": config["dataset"], **sets}.items():
        if node.get("cache_dir") is not None:
            yield f"{key}.cache_dir", node["cache_dir"]
    logger = config["logger"]
    target = logger.get("_target_")
    if not logger or target in _INSIDE or (target == _WANDB and logger.get("mode") == "offline"):
        return
    yield from ((key, value) for key, value in leaves(logger, "logger") if key not in _NAMES)


def same_place(one: Any, other: Any) -> bool:
    """Whether two values name the same, as `data` and its absolute path do."""
    if isinstance(one, str) and isinstance(other, str) and "://" not in one:
        return expanded(one).absolute() == expanded(other).absolute()
    return bool(one == other)
