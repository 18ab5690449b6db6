"""RESULTS.md: what is printed, what ours gives, and a picture of each experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from aecore.errors import UserError
from aecore.runs.files import write_atomically

from .rows import Document, Figure, Row, is_finished, job_folder

TOLERANCE = 1.05
_WIDTH = 400  # dots of a thumbnail
_HEAD = """# Results

Five public documents teach autoencoders with some 25 experiments on MNIST. Here each is one
command; its numbers stand beside those that the document prints and those of a plain PyTorch loop
with the same settings. The last table does so with papers and with what is known exactly. This page
is written from the runs by

    python -m benchmarks.reproduce

{machine}

- Errors are mean squared errors per pixel on [0, 1] unless the row says otherwise; train losses
  are the mean over the last epoch, while the weights moved.
- **ratio**: ours to the printed figure, or to the plain loop's where that is larger: with a ReLU at
  the output, the draw of the first weights decides how many output pixels are dead.
- A document that prints no figure has none here; what it leaves open was chosen as *assumed* says.
"""


def page(
    documents: Sequence[Document],
    out: Path,
    minutes: Mapping[str, float],
    file: Path,
    machine: str,
) -> list[str]:
    """Write the page and its thumbnails; returns a line for each loss above what it should be.

    out: the folder of the runs, each under its experiment's name. minutes: how long each took.
    The thumbnails go to docs/results beside the page. Raises OSError where that cannot be written.
    """
    lines = [_HEAD.format(machine=machine)]
    above: list[str] = []
    for document in documents:
        lines += [f"\n## {document.document}\n"]
        lines += ["| experiment | figure | printed | plain loop | ours | ratio | picture |"]
        lines += ["|---|---|--:|--:|--:|--:|---|"]
        for row in document.rows:
            lines.append(_row(row, out / row.run, minutes, file))
            above += _above(row, out / row.run)
    write_atomically(file, ("\n".join(lines) + "\n").encode())
    return above


def _row(row: Row, folder: Path, minutes: Mapping[str, float], file: Path) -> str:
    about = f"**{row.title}**<br>`python run.py {row.command}`"
    if not is_finished(folder, row.is_sweep):
        return f"| {about}<br>not run, or failed | | | | | | |"
    if row.run in minutes:
        about += f"<br>{minutes[row.run]:.1f} minutes"
    if row.assumed:
        about += f"<br>*assumed: {row.assumed}*"
    values = [figure.value(folder) for figure in row.figures]
    cells = [
        "<br>".join(cell or "·" for cell in column)
        for column in (
            [figure.name for figure in row.figures],
            [_shown(figure.printed) for figure in row.figures],
            [_shown(figure.plain) for figure in row.figures],
            [_shown(value) for value in values],
            [_ratio(f, value) for f, value in zip(row.figures, values, strict=True)],
        )
    ]
    return f"| {about} | {' | '.join(cells)} | {_picture(row, folder, file)} |"


def _shown(value: float | None) -> str:
    """A number as people read it; nothing for None."""
    if value is None:
        return ""
    return f"{value:.0f}" if value == round(value) and abs(value) >= 1 else f"{value:.4g}"


def _ratio(figure: Figure, value: float | None) -> str:
    return "" if value is None or not figure.target else f"{value / figure.target:.2f}"


def _above(row: Row, folder: Path) -> list[str]:
    if not is_finished(folder, row.is_sweep):
        return [f"{row.name}: not run, or failed"]
    found = []
    for figure in row.figures:
        value = figure.value(folder)
        if value is None:
            found.append(f"{row.name}: {figure.name} is missing ({figure.key})")
        elif figure.ceiling and figure.target and value > TOLERANCE * figure.target:
            found.append(f"{row.name}: {figure.name} is {value:.4g}, not {figure.target:.4g}")
    return found


def _picture(row: Row, folder: Path, file: Path) -> str:
    """A small copy of the picture, or, of a film, of its middle; the job's own if there is none."""
    source = folder / "figures" / row.picture
    if not source.is_file():
        first = job_folder(folder, row.figures[0].job or "") if row.is_sweep else None
        source = (first or folder) / "figures" / row.picture
    if not source.is_file():
        return ""
    target = file.parent / "docs" / "results" / f"{row.name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        with Image.open(source) as image:
            image.seek(getattr(image, "n_frames", 1) // 2)
            small = image.convert("RGB")
        small.thumbnail((_WIDTH, 3 * _WIDTH), Image.Resampling.LANCZOS)
        small.quantize(128).save(part, format="PNG", optimize=True)
        part.replace(target)
    except OSError as error:
        raise UserError(f"{target}: {error.strerror or error}\n  give another --page") from error
    finally:
        part.unlink(missing_ok=True)
    place = target.relative_to(file.parent).as_posix()
    return f'<a href="{place}"><img src="{place}" alt="{row.name}: {row.picture}" width="240"></a>'
