"""How fast a training was, by its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aecore.evaluation.reported import Reported

# what `timing` reports, by the key after `train/`
TIMING = {
    "seconds": Reported(False, "s"),
    "images_per_second": Reported(True, "after the first epoch"),
}


def timing(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """`train/seconds`, and `train/images_per_second` after the first epoch where there are more.

    The wall time of an epoch runs from the end of the one before to its own end: logging,
    validation and checkpoints are in it.
    """
    if not rows:
        return {}
    later = rows[1:] or rows
    speed = sum(r["images"] for r in later) / sum(r["seconds"] for r in later)
    return {"train/seconds": sum(r["seconds"] for r in rows), "train/images_per_second": speed}
