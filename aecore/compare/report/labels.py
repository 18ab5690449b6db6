"""Short names of compared runs, for figures that show several of them."""

from __future__ import annotations

from collections.abc import Sequence

from aecore.compare.report.plan import printable
from aecore.compare.runs import ComparedRun
from aecore.compare.values import label, shown

_LONGEST = 56  # letters


def labels_of(runs: Sequence[ComparedRun], keys: Sequence[str]) -> list[str]:
    """`pca`, `latent.dim=64`, `vae · latent.dim=8 · seed=1`: no two runs have the same.

    As matplotlib reads them: a dollar is escaped.
    keys: those that vary. If the label would be too long, only as many as distinguish the runs.
    """
    if len({shown(run.seed) for run in runs}) > 1:
        keys = (*keys, "seed")
    labels = [_label(run, keys) for run in runs]
    if max(map(len, labels), default=0) > _LONGEST:
        labels = [_label(run, _needed(runs, keys)) for run in runs]
    labels = [text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in labels]
    return [
        text if text and labels.count(text) == 1 else f"{text} (run {run.name})".strip()
        for text, run in zip(labels, runs, strict=True)
    ]


def _label(run: ComparedRun, keys: Sequence[str]) -> str:
    return printable(label(run.values, keys)).replace("$", r"\$")


def _needed(runs: Sequence[ComparedRun], keys: Sequence[str]) -> list[str]:
    """The first keys that distinguish as many runs as all keys do."""
    chosen: list[str] = []
    for key in keys:
        if _kinds(runs, [*chosen, key]) > _kinds(runs, chosen):
            chosen.append(key)
    return chosen


def _kinds(runs: Sequence[ComparedRun], keys: Sequence[str]) -> int:
    return len({_label(run, keys) for run in runs})
