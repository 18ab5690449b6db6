"""Short names of compared runs, for figures that show several of them."""

from __future__ import annotations

from collections.abc import Sequence

from aecore.compare.report.plan import printable
from aecore.compare.runs import ComparedRun
from aecore.compare.values import label, shown

_LONGEST = 56  # letters


def labels_of(runs: Sequence[ComparedRun], keys: Sequence[str]) -> list[str]:
    """`pca`, `latent.dim=64`, `vae · latent.dim=8 · seed=1`: no two runs have the same.

    As matplotlib reads them: a dollar is escaped. keys: those that vary.
    """
    if len({shown(run.seed) for run in runs}) > 1:
        keys = (*keys, "seed")
    texts = [printable(label(run.values, keys)) for run in runs]
    texts = [text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in texts]
    labels = [
        text if text and texts.count(text) == 1 else f"{text} (run {run.name})".strip()
        for text, run in zip(texts, runs, strict=True)
    ]
    return [text.replace("$", r"\$") for text in labels]
