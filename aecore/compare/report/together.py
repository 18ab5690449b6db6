"""Figures that compare runs: each figure that all of them have, drawn for all in one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from aecore.compare.report.labels import labels_of
from aecore.compare.report.tiling import tiled
from aecore.compare.runs import ComparedRun
from aecore.compare.table import Table
from aecore.compare.trials import Trials
from aecore.compare.values import frozen
from aecore.config.build import build
from aecore.errors import SkippedError, UserError
from aecore.evaluation.figures.base import TrialFigure
from aecore.evaluation.figures.draw import also_as, save
from aecore.runs.files import make_folder
from aecore.runs.folder import CONFIG, plain_config
from aecore.runs.validation import check_targets

FOLDER = "figures"
MOST = 12  # maximum number of runs for a readable figure
_NAME = re.compile(r"[A-Za-z]\w*")  # it becomes the name of a file


def draw_together(table: Table, out: Path) -> tuple[dict[str, Path], list[str]]:
    """Write `out/figures/NAME.png` for each figure that all finished runs have.

    As PDF or SVG, too, where that is `figures.format` of all of them.
    A figure that knows how draws the runs jointly, with their models; of any other, and where that
    fails, the images of the runs are tiled. Animations are left out.

    Returns the files by the name of their figure, and notes, a line each.
    Raises OSError where `out` cannot be written.
    """
    drawn: dict[str, Path] = {}
    notices: list[str] = []
    runs = [run for group in table.groups for run in group.runs if run.state == "finished"]
    if len(runs) < 2 or not all(any(k.startswith("figures.") for k in r.values) for r in runs):
        return drawn, notices
    if len(runs) > MOST:
        notices.append(f"figures compare at most {MOST} runs; choose with task=compare runs='...'")
        return drawn, notices
    folders = dict(zip(labels_of(runs, table.keys), (run.folder for run in runs), strict=True))
    trials = Trials(folders)
    nodes = [_figures(run) for run in runs]
    with also_as(_format(nodes)):
        for name, node in _shared(nodes).items():
            figure = None if node is None else _joint(name, node, trials, notices)
            if figure is None:
                files = {label: run / FOLDER / f"{name}.png" for label, run in folders.items()}
                figure = tiled(files)
            if figure is not None:
                drawn[name] = save(figure, make_folder(out / FOLDER), name)
    return drawn, notices


def _figures(run: ComparedRun) -> Mapping[str, Any]:
    """The node `figures` of a run: those that it was asked for, by name, and their format."""
    try:
        nodes = plain_config(run.folder).get("figures")
    except UserError:  # changed since it was read
        return {}
    return nodes if isinstance(nodes, Mapping) else {}


def _format(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The format that all runs have beside PNG; `png` if they differ."""
    formats = [node.get("format") for node in nodes]
    return next((name for name in ("pdf", "svg") if all(f == name for f in formats)), "png")


def _shared(figures: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any] | None]:
    """The figures that all runs have, with their nodes; None if the nodes differ."""
    first, *others = figures
    return {
        name: node if all(frozen(node) == frozen(other[name]) for other in others) else None
        for name, node in first.items()
        if _NAME.fullmatch(str(name)) and all(isinstance(one.get(name), Mapping) for one in figures)
    }


def _joint(name: str, node: Mapping[str, Any], trials: Trials, notices: list[str]) -> Figure | None:
    """The joint figure of all runs, None if it has none."""
    try:
        check_targets({"figures": {name: node}}, Path(CONFIG))
        return build(node, f"figures.{name}", TrialFigure).draw_runs(trials)
    except SkippedError:
        return None
    except Exception as error:  # a comparison has worth without this figure, whatever is wrong
        lines = str(error).splitlines() or [type(error).__name__]
        notice = f"figures as the runs left them, side by side: {lines[0]}"
        if notice not in notices:
            notices.append(notice)
        return None
