"""Lightning's own counters, made from where a checkpoint was saved."""

from __future__ import annotations

from typing import Any


def counters(epoch: int, chunks: int | None) -> dict[str, Any]:
    """Those of the loop of epochs, as far as a training that continues needs them.

    epoch: the number of the epoch, from 0. chunks: done of it; None where it has ended.
    """
    ended = epoch + 1 if chunks is None else epoch
    found = {"epoch_progress": _progress(epoch + 1, ended, epoch)}
    if chunks is not None:
        batches = _progress(chunks + 1, chunks, chunks)
        found["epoch_loop.batch_progress"] = {**batches, "is_last_batch": False}
    return found


def _progress(begun: int, processed: int, completed: int) -> dict[str, Any]:
    counts = {"ready": begun, "started": begun, "processed": processed, "completed": completed}
    return {"total": counts, "current": counts}
