"""Writing the files, and checking each against the model that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.runs.checkpoint import EXPORTED
from aecore.runs.open import open_run
from aecore.tasks.exporting import tensors
from aecore.tasks.exporting.formats import PROGRAMS, Run, silent, trace
from aecore.tasks.exporting.packages import Format
from aecore.tasks.exporting.pieces import Encoder, Piece, Whole, on_cpu, pieces

TOLERANCE = 1e-5
_FEW = 0.05  # of the images, at most, may lie between two answers and get another one
_TOLD = 160  # letters of a reason


@dataclass
class Exported:
    """The result of an export.

    files: each that passed, with the largest absolute difference from the original.
    passed_over: for how many images it answered otherwise because they lie between two answers,
        where there are such; the difference is that of the others.
    left_out: each that did not, with the reason.
    """

    files: dict[str, float] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@torch.no_grad()
def export(
    model: Autoencoder,
    record: Mapping[str, Any],
    images: Tensor,
    labels: Tensor | None,
    formats: list[Format],
    folder: Path,
) -> Exported:
    """Write a trained model into a folder, and check what was written with real images.

    Each file must answer as the model does on the CPU, within TOLERANCE (of answers beyond 1 in
    size: of the largest), for one image, for a few and for many; one that does not is deleted.

    record: of the model, as `make_record` gives it. images: pixels (N, C, H, W). labels: (N,), for
    a class-conditional model. An image between two answers, see `undecided`, may get the other one,
    if few do.
    Raises UserError for a model that answers with numbers that are not finite.
    """
    original = on_cpu(model)
    original.sampler = None
    x, y = images.cpu(), None if labels is None else labels.cpu()
    if not original.reconstruct(x, y).isfinite().all():
        raise UserError("task=export: this model answers with NaN or infinite numbers, train again")
    result = Exported()
    if "safetensors" in formats:
        tensors.write(model, record, folder / EXPORTED)
        again = open_run(folder / EXPORTED).model()
        pairs = [(part(again)(x, y), part(original)(x, y)) for part in (Encoder, Whole)]
        result.files[EXPORTED] = max(float(_differences(*pair).max()) for pair in pairs)
        assert result.files[EXPORTED] <= TOLERANCE, "equal weights answer alike"
    programs = [name for name in formats if name in PROGRAMS]
    if programs:
        for piece in pieces(original, x, y):
            _write_programs(piece, programs, folder, result)
    return result


def _write_programs(piece: Piece, formats: list[Format], folder: Path, result: Exported) -> None:
    names = {name: piece.name + PROGRAMS[name].suffix for name in formats}
    try:
        with silent():
            program = trace(piece)
    except Exception as error:  # torch.export raises various errors for unsupported code
        result.left_out |= dict.fromkeys(names.values(), _reason(error))
        return
    for name, file in names.items():
        path = folder / file
        try:
            with silent():
                PROGRAMS[name].write(program, piece, path)
                far = _answers(PROGRAMS[name].read(path, piece), piece)
            worst, other = _judged(far, piece)
        except Exception as error:  # the exporters and runtimes have no exception in common
            path.unlink(missing_ok=True)
            result.left_out[file] = _reason(error)
            continue
        result.files[file] = worst
        if other:
            result.passed_over[file] = other


def _answers(run: Run, piece: Piece) -> Tensor:
    """How far each answer is from the original's, (N,): of 1, of 7 and of all other images."""
    parts = [
        _differences(run(tuple(value[part] for value in piece.inputs)), piece.wanted[part])
        for part in (slice(0, 1), slice(1, 8), slice(8, None))
        if len(piece.wanted[part])
    ]
    return torch.cat(parts)


def _differences(made: Tensor, wanted: Tensor) -> Tensor:
    """The largest absolute difference of each image, (N,); infinite where a number is none."""
    if made.shape != wanted.shape:
        raise ValueError(f"it answers {tuple(made.shape)} instead of {tuple(wanted.shape)}")
    return (made - wanted).abs().nan_to_num(torch.inf).flatten(1).amax(1)


def _judged(far: Tensor, piece: Piece) -> tuple[float, int]:
    """The largest difference, and for how many images it does not count; ValueError if too far."""
    limit = TOLERANCE * max(1.0, float(piece.wanted.abs().max()))
    excused = (far > limit) & piece.between
    worst = float(far[~excused].max()) if not excused.all() else float("inf")
    if worst > limit or excused.sum() > _FEW * len(far):
        raise ValueError(f"it differs by {float(far.max()):.2g} from the original")
    return worst, int(excused.sum())


def _reason(error: BaseException) -> str:
    """The first line of what went wrong first."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}..."
