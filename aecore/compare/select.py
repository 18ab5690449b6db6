"""Which run folders are meant by `runs=...`: paths, patterns, sweeps."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from aecore.compare.runs import check_readable
from aecore.config.folders import command, expanded
from aecore.errors import UserError
from aecore.runs.folder import ERROR, RUN, is_run


def select(runs: str | list[str]) -> list[Path]:
    """The run folders, each once; job 2 is sorted before job 10 in a pattern or a sweep.

    A text is, in this order: a path that exists, a pattern, paths and patterns between commas. A
    folder that is not a run selects the runs below it.
    Raises UserError where one of them selects nothing, and where all runs are of another format.
    """
    given = [
        text for entry in ([runs] if isinstance(runs, str) else runs) for text in _split(entry)
    ]
    selected: dict[Path, None] = {}
    for text in given:
        folders = [run for folder in _expanded(text) for run in runs_below(folder)]
        if not folders:
            raise UserError(
                f"runs={text}: no run there (looked in {_searched(text)})",
                f"`{command()} task=list` shows the runs",
            )
        selected.update(dict.fromkeys(folders))
    check_readable([*selected])
    return list(selected)


def _split(text: str) -> list[str]:
    if _expanded(text):
        return [text]
    parts = [part.strip() for part in text.split(",")]
    return [part for part in parts if part] or [text]


def _expanded(text: str) -> list[Path]:
    """The folders of a path or a pattern; what exists by its very name is no pattern."""
    path = expanded(text)
    if not text or path.is_dir():
        return [path] if text else []
    known, rest = _literal(path)
    pattern = os.path.join(glob.escape(str(known)), rest)
    matches = map(Path, glob.glob(pattern, recursive=True))
    return [match for match in natural(matches) if match.is_dir()]


def _literal(path: Path) -> tuple[Path, str]:
    """The longest beginning of a path that exists, and the rest."""
    for parent in path.parents:
        if parent.is_dir():
            return parent, str(path.relative_to(parent))
    return Path("."), str(path)


def _searched(text: str) -> Path:
    path = expanded(text)
    return (path if path.is_dir() else _literal(path)[0]).absolute()


def natural(paths: Iterable[Path]) -> list[Path]:
    """Sorted as a reader counts: job 2 before job 10."""

    def key(path: Path) -> list[str | int]:  # texts and numbers take turns
        return [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", str(path))]

    return sorted(paths, key=key)


def begun(folder: Path) -> bool:
    """Whether a run left something there, if only its error."""
    return is_run(folder) or any((folder / name).is_file() for name in (ERROR, RUN))


def is_job(folder: Path) -> bool:
    """Whether a folder is a run, or a number next to runs: a job that was never started."""
    if begun(folder):
        return True
    return folder.name.isdecimal() and any(begun(path) for path in _entries(folder.parent))


def runs_below(folder: Path) -> list[Path]:
    """The folder itself where it is a run, else the runs below it, hidden folders left out."""
    if is_job(folder):
        return [folder]
    below = [path for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")]
    return [
        run
        for path in natural(below)
        if is_job(path) or not path.is_symlink()
        for run in runs_below(path)
    ]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # gone in the meantime, or not ours to read
