"""The folders of the configuration: of a clone or an installed package, and the user's own."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aecore.errors import UserError

ROOT = Path(__file__).resolve().parents[2]  # of a clone
_PACKAGED = Path(__file__).resolve().parents[1] / "conf"  # of a wheel
CONF = _PACKAGED if _PACKAGED.is_dir() else ROOT / "conf"
# where `sweeps/` lies; never the package: aecore/runs on the search path would be a group `runs`
HOME = CONF if CONF == _PACKAGED else ROOT
STUDIES = "sweeps"  # the group that is next to conf/ in a clone
OWN = "AECORE_CONFIG_DIR"  # the folders that --config-dir named, for processes started from here


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with the user's home folder for `~`; as it is where there is no such user."""
    return Path(os.path.expanduser(path))


def user_folders() -> list[Path]:
    """The folders of `--config-dir`, in this process and those that it starts."""
    return [Path(folder) for folder in os.environ.get(OWN, "").split(os.pathsep) if folder]


def set_user_folders(folders: Iterable[Path]) -> None:
    """Set the folders of `--config-dir`, replacing earlier ones."""
    os.environ.pop(OWN, None)
    if text := os.pathsep.join(str(folder.absolute()) for folder in folders):
        os.environ[OWN] = text


def make_importable() -> None:
    """Append the folders of `--config-dir` to `sys.path`."""
    sys.path.extend(text for f in user_folders() if (text := str(f)) not in sys.path)


@cache
def groups() -> tuple[str, ...]:
    """Every config group, such as `penalty` and `trainer/accelerator`."""
    folders = {file.parent.relative_to(CONF).as_posix() for file in CONF.glob("*/**/*.yaml")}
    return tuple(sorted({STUDIES, *(name for name in folders if not name.startswith("hydra/"))}))


def builtin_options(group: str) -> dict[str, Path]:
    """The YAML file of each option of a config group in `conf/` or `sweeps/`."""
    return _files(HOME if group == STUDIES else CONF, group)


def user_options(group: str, folders: Iterable[Path]) -> dict[str, Path]:
    """The YAML file of each option of a config group in the user's folders."""
    return {name: file for folder in folders for name, file in _files(folder, group).items()}


def known(group: str) -> dict[str, Path]:
    """The YAML file of every option of a config group, the user's own included."""
    return user_options(group, user_folders()) | builtin_options(group)


def _files(root: Path, group: str) -> dict[str, Path]:
    return {file.stem: file for file in sorted((root / group).glob("*.yaml"))}


def command() -> str:
    """The command that started this program: `aecore`, or `python run.py` in a clone."""
    installed = HOME != ROOT or Path(sys.argv[0]).stem == "aecore"
    return "aecore" if installed else "python run.py"


def installing(extra: str) -> str:
    """The command that installs an extra of this package."""
    return f"pip install 'aecore[{extra}]'" if HOME != ROOT else f"pip install -e '.[{extra}]'"


def is_installed(package: str) -> bool:
    """Whether a package can be imported; a mere folder of that name is none."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


def need_package(package: str, problem: str) -> None:
    """Raise UserError where a package is missing that the extra of the same name installs."""
    if not is_installed(package):
        raise UserError(problem, f"{installing(package)} brings it")


def flags() -> list[str]:
    """The arguments `--config-dir DIR ...` that a later command needs for the same options."""
    return [part for folder in user_folders() for part in ("--config-dir", str(folder))]


def resuming(folder: Path) -> str:
    """The command that continues the run or sweep of a folder."""
    return f"{command()} {shlex.join([*flags(), f'resume={folder}'])}"
