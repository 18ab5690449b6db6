"""Checks of many configurations before any of them runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from aecore.training.machine import check_device
from aecore.training.ood import check_ood
from aecore.training.prepare import (
    check_fits,
    check_unused,
    common_shape,
    record_columns,
)
from aecore.training.setup import build_experiment, build_loggers
from aecore.training.shape_model import shape_model, warn_of_memory
from aecore.types import ImageShape


class ConfigChecker:
    """Checks many configurations before any of them runs, reading each data set once."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[ImageShape, int, int | None]] = {}

    def check(self, config_dict: dict[str, Any]) -> None:
        """Raise UserError if a training would do so before its first step."""
        experiment = build_experiment(config_dict)
        config = experiment.config
        check_unused(config)
        check_device(config)
        build_loggers(experiment, Path(os.devnull))
        read = [config.dataset, config.evaluate.ood, config.conditional]
        key = json.dumps(read, sort_keys=True)
        if key not in self._seen:
            shape = common_shape(experiment.data)
            record_columns(experiment)
            check_ood(experiment, shape)
            classes = experiment.data.count_classes() if config.conditional else None
            self._seen[key] = shape, len(experiment.data.train), classes
        shape, images, classes = self._seen[key]
        model = shape_model(experiment, shape, classes)
        check_fits(experiment, model, images)
        warn_of_memory(model)
