"""Reading the files that TensorBoard reads."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(folder: Path, part: str = "") -> EventAccumulator:
    all_of = dict.fromkeys(("scalars", "tensors", "images", "histograms"), 0)
    return EventAccumulator(str(folder / "tensorboard" / part), size_guidance=all_of).Reload()
