"""The keys in which runs differ. Seeds are excluded, as runs are averaged over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aecore.compare.runs import ComparedRun
from aecore.compare.values import GROUPS, frozen

# paths, tasks, figures and further metrics do not change the metrics of every run
_EXCLUDED = (
    "seed", "task", "sweeps", "logger", "figures", "resume", "runs", "run", "out", "split",
    "resize", "paths", "optimized_metric", "dry_run", "evaluate.metrics",
)  # fmt: skip
_EXCLUDED_NODES = (
    "paths.", "task.", "logger.", "figures.", "hydra.", "hydra/", "evaluate.metrics.",
    "evaluate.ood.",
)  # fmt: skip
# decided by the machine: shown only if overridden
_MACHINE = (
    "trainer.threads",
    "trainer.log_every",
    "trainer.checkpoint_minutes",
    "trainer.compile",
    "dataset.eval_batch_size",
    "trainer.devices",
)
_ABSENT = "\0absent"


def varied(runs: Sequence[ComparedRun]) -> list[str]:
    """The keys in which the runs differ: config groups first, then dotted keys.

    Where the runs come with a grid, those are the grid's keys with several values. Else a key
    that was not overridden and follows from others (`penalty.kl.weight` of a VAE and a
    plain autoencoder, if `model` is shown) is left out; so are paths and `_target_`s.
    """
    grids = [run.grid for run in runs]
    if grids and all(grid is not None for grid in grids):
        keys = dict.fromkeys(key for grid in grids if grid is not None for key in grid)
        return [key for key in keys if _counts(key) and _differs(runs, key)]
    keys = dict.fromkeys(key for run in runs for key in run.values)
    ordered = [key for key in GROUPS if key in keys] + [key for key in keys if key not in GROUPS]
    overridden = {key for run in runs for key in run.overrides}
    candidates = [
        key
        for key in ordered
        if _counts(key) and (key in overridden or key not in _MACHINE) and _differs(runs, key)
    ]
    chosen = [key for key in candidates if key in overridden]
    for key in candidates:
        if key not in overridden and not _follows(runs, key, chosen):
            chosen.append(key)
    return [key for key in candidates if key in chosen]


def _counts(key: str) -> bool:
    excluded = key in _EXCLUDED or key.startswith(_EXCLUDED_NODES)
    return not excluded and not key.endswith("_target_")


def _differs(runs: Sequence[ComparedRun], key: str) -> bool:
    """Whether there are two values; jobs that were never started are ignored."""
    known = [run for run in runs if run.complete or key in run.values]
    return len({frozen(run.values.get(key, _ABSENT)) for run in known}) > 1


def _follows(runs: Sequence[ComparedRun], key: str, others: Sequence[str]) -> bool:
    """Whether runs that agree in `others` agree in `key`."""
    known: dict[tuple[str, ...], str] = {}
    for run in runs:
        if not run.complete:
            continue
        value = frozen(run.values.get(key, _ABSENT))
        if known.setdefault(identity(run, others), value) != value:
            return False
    return True


def identity(run: ComparedRun, keys: Iterable[str]) -> tuple[str, ...]:
    """The values of those keys, to compare and to group by."""
    return tuple(frozen(run.values.get(key, _ABSENT)) for key in keys)
