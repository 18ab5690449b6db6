"""Run folders in which a link leads to someone else's files."""

from __future__ import annotations

from pathlib import Path

SECRET = b"my thesis"


def victim(folder: Path) -> Path:
    """A folder of someone else's."""
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_bytes(SECRET)
    return folder


def linked(path: Path, target: Path) -> None:
    """A link to a target in place of a file or a folder, whose content goes to the target's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        for one in path.iterdir():
            if not (target / one.name).exists():
                one.rename(target / one.name)
            else:
                one.unlink()
        path.rmdir()
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes of every file below a folder, and when it was written."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
    }
