"""What a test needs beyond the extra `test`; where that is missing it is skipped, saying so."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NoReturn

import pytest

# a module that only the extra brings
MODULES = {
    "inception": "torch_fidelity",
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "mlflow": "mlflow",
    "optuna": "optuna",
    "ray": "hydra_plugins.hydra_ray_launcher",
    "slurm": "hydra_plugins.hydra_submitit_launcher",
    "wandb": "wandb",
}


def reason(extra: str) -> str:
    """The words of a skip, which `.ci/run` knows."""
    return f"needs the extra '{extra}'"


def installed(extra: str) -> bool:
    """Whether an extra is here."""
    package, _, module = MODULES[extra].partition(".")  # no plugin at all, no package of plugins
    return find_spec(package) is not None and (not module or find_spec(MODULES[extra]) is not None)


def skip(extra: str) -> NoReturn:
    """Skip a test."""
    __tracebackhide__ = True  # a skip is reported where the test is, not here
    pytest.skip(reason(extra))


def need(extra: str) -> None:
    """Skip a test where an extra is missing."""
    __tracebackhide__ = True
    if not installed(extra):
        skip(extra)


def needs(extra: str) -> pytest.MarkDecorator:
    """The mark of a test or class that needs an extra."""
    return pytest.mark.skipif(not installed(extra), reason=reason(extra))
