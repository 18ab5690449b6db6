"""Where the configuration lies: ours, in a clone or in an installed package, and the user's own."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of a clone
_PACKAGED = Path(__file__).resolve().parents[1] / "conf"  # of a wheel
CONF = _PACKAGED if _PACKAGED.is_dir() else ROOT / "conf"
# where `sweeps/` lies; never the package: aecore/runs on the search path would be a group `runs`
HOME = CONF if CONF == _PACKAGED else ROOT
STUDIES = "sweeps"  # the group that lies beside conf/ in a clone
OWN = "AECORE_CONFIG_DIR"  # the folders that --config-dir named, for processes started from here


def own_folders() -> list[Path]:
    """The folders of the user's own words, in this process and those that it starts."""
    return [Path(folder) for folder in os.environ.get(OWN, "").split(os.pathsep) if folder]


def set_own_folders(folders: Iterable[Path]) -> None:
    """Take these folders, and no others, for those of the user's own words."""
    os.environ.pop(OWN, None)
    if text := os.pathsep.join(str(folder.absolute()) for folder in folders):
        os.environ[OWN] = text


def make_importable() -> None:
    """Let Python find modules in the user's own folders, after all others."""
    sys.path.extend(text for f in own_folders() if (text := str(f)) not in sys.path)


@cache
def groups() -> tuple[str, ...]:
    """Every config group, such as `penalty` and `trainer/accelerator`."""
    found = {file.parent.relative_to(CONF).as_posix() for file in CONF.glob("*/**/*.yaml")}
    return tuple(sorted({*found, STUDIES}))


def ours(group: str) -> dict[str, Path]:
    """The YAML file of each word of ours in a group."""
    return _files(HOME if group == STUDIES else CONF, group)


def theirs(group: str, folders: Iterable[Path]) -> dict[str, Path]:
    """The YAML file of each word in a group of the user's own folders."""
    return {name: file for folder in folders for name, file in _files(folder, group).items()}


def known(group: str) -> dict[str, Path]:
    """The YAML file of every word of a group, the user's own included."""
    return theirs(group, own_folders()) | ours(group)


def _files(root: Path, group: str) -> dict[str, Path]:
    return {file.stem: file for file in sorted((root / group).glob("*.yaml"))}


def command() -> str:
    """What this program was started as: `aecore`, or `python run.py` in a clone."""
    installed = HOME != ROOT or Path(sys.argv[0]).stem == "aecore"
    return "aecore" if installed else "python run.py"


def installing(extra: str) -> str:
    """The command that installs what an extra of this package needs."""
    return f"pip install 'aecore[{extra}]'" if HOME != ROOT else f"pip install -e '.[{extra}]'"


def flags() -> list[str]:
    """What of its command line must be given again for the user's own words to be known."""
    return [part for folder in own_folders() for part in ("--config-dir", str(folder))]


def resuming(folder: Path) -> str:
    """The command that continues the run or sweep of a folder."""
    return f"{command()} {shlex.join([*flags(), f'resume={folder}'])}"
