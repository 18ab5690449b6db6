"""What inference needs beside the programs: preprocessing, the score and the state of the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from aecore.evaluation.metrics.anomaly_score import error_unit
from aecore.evaluation.metrics.error_map import smooth_text
from aecore.model.autoencoder import Autoencoder
from aecore.runs.files import copy_file
from aecore.runs.folder import progress
from aecore.runs.open import Run
from aecore.types import is_table

PixelScore = Literal["error", "peak"]  # of `By`, those that predict.py knows
PROGRAM = "predict.py"
_RESIZE = "shorter side to fit, centre cut out, antialiased bicubic (Pillow's ImageOps.fit)"


def state_of(run: Run) -> dict[str, Any]:
    """The weights of a run, plain values: `epoch`, `of_epochs`, `weights`, `finished`.

    None stands for what a checkpoint or an export without its run does not tell.
    """
    unfinished = None if run.folder is None else progress(run.folder) is not None
    whole = run.config.trainer.max_epochs
    return {
        "epoch": run.epoch,
        "of_epochs": whole if isinstance(whole, int) else None,
        "weights": None if run.epoch is None else run.path.stem,
        "finished": None if unfinished is None else not unfinished,
    }


def state_text(state: Mapping[str, Any]) -> str:
    """`epoch 7 of 10, best weights, run not finished`."""
    if state["epoch"] is None:
        return "epoch not recorded"
    of = "" if state["of_epochs"] is None else f" of {state['of_epochs']}"
    finished = {True: ", run finished", False: ", run not finished", None: ""}[state["finished"]]
    return f"epoch {state['epoch']}{of}, {state['weights']} weights{finished}"


def preprocessing(model: Autoencoder, dataset: Mapping[str, Any]) -> dict[str, Any] | None:
    """How an image file becomes the input of the model, plain values; None for a table.

    dataset: the recorded options of the training images. `range`: what black and white are to the
    model, of images outside [0, 1] the range of the training pixels.
    """
    if is_table(model.image_shape):
        return None
    channels, *size = model.image_shape
    of_files = dataset if "image_size" in dataset else {}  # of others, white is that of arrays
    return {
        "size": size,
        "channels": channels,
        "resize": _RESIZE,
        "crop": of_files.get("crop"),
        "white": of_files.get("white"),
        "binarise": dataset.get("binarise") is not None,
        "range": [0.0, 1.0] if model.limits is None else model.limits.tolist(),
    }


def score_rule(
    model: Autoencoder, by: PixelScore, smooth: float, threshold: float | None, note: str
) -> dict[str, Any]:
    """The anomaly score, plain values. note: its threshold's origin, or why none."""
    where = "" if is_table(model.image_shape) else ", on [0, 1]"
    kind = "mean" if by == "error" else "largest"
    formula = f"{kind} squared error {error_unit(model)} of the reconstruction{where}"
    return {
        "by": by,
        "smooth": smooth,
        "formula": formula + smooth_text(smooth),
        "threshold": threshold,
        "note": note,
    }


def threshold_text(score: Mapping[str, Any]) -> str:
    """`threshold 0.0123, the 0.95 quantile of ...` or `no threshold: ...`."""
    if score["threshold"] is None:
        return f"no threshold: {score['note']}"
    return f"threshold {score['threshold']:.5g}, {score['note']}"


def write_program(folder: Path) -> None:
    """Copy predict.py, which is a program of its own."""
    copy_file(Path(__file__).with_name(PROGRAM), folder / PROGRAM)


def why_no_program(
    model: Autoencoder, dataset: Mapping[str, Any], files: Collection[str]
) -> str | None:
    """Why predict.py cannot use the exported files, None where it can."""
    channels = model.image_shape[0]
    if is_table(model.image_shape):
        return "it reads image files, and this model takes rows of a table"
    if channels not in (1, 3):
        return f"image files are grey or RGB, and this model takes {channels} channels"
    if model.classes is not None:
        return "this model is class-conditional, and image files have no labels"
    if dataset.get("binarise") == "sample":
        return "dataset.binarise=sample draws the pixels at random"
    return None if "autoencoder.onnx" in files else "it needs autoencoder.onnx, see export.formats"
