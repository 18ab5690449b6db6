"""The record of a sweep: its overrides and the list of its jobs."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from aecore.config.overrides import read as read_overrides
from aecore.errors import UserError
from aecore.runs.folder import ERROR, is_finished, write_atomically
from aecore.runs.format import check_format, stamp

RECORD = "sweep.json"
LEADER = ".running"  # locked by the process that launched the jobs, while it wants them to go on
_OWN = {RECORD, "summary.csv", "summary.json", "report.html", "figures"}  # of the sweep itself
_LONGEST = 255  # bytes of a file name


@dataclass(frozen=True)
class Sweep:
    """A recorded multirun.

    overrides: those that all jobs share and that Hydra itself reads, in Hydra's grammar.
    jobs: the overrides of each job, in order; job i lives in `folder/i`.
    numbers: where given, job i lives in `folder/numbers[i]` instead.
    names: where given, job i lives in `folder/names[i]` instead, at most two levels below.
    search: where the jobs are chosen one after another, the plan of `aecore.sweeps.search`.
    """

    folder: Path
    flags: list[str]
    overrides: list[str]
    jobs: list[list[str]]
    numbers: list[int] | None = None
    search: dict[str, Any] | None = None
    names: list[str] | None = None

    def write(self) -> None:
        """Record it in its folder."""
        record: dict[str, Any] = {
            **stamp(), "flags": self.flags, "overrides": self.overrides, "jobs": self.jobs,
        }  # fmt: skip
        if self.search is not None:
            record |= {"numbers": self.numbers, "search": self.search}
        if self.names is not None:
            record["names"] = self.names
        write_atomically(self.folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())

    @property
    def folders(self) -> list[Path]:
        """The run folder of each job, there or not."""
        numbers = range(len(self.jobs)) if self.numbers is None else self.numbers
        return [self.folder / name for name in self.names or map(str, numbers)]

    @property
    def grid(self) -> list[dict[str, str]]:
        """Key and value of every override of each job."""
        return [{o.key: o.text for o in read_overrides(job)} for job in self.jobs]


def read_sweep(folder: Path) -> Sweep | None:
    """The sweep recorded in a folder, None where there is none.

    Raises UserError for a record that is damaged or of another format.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text())
        if not isinstance(record, dict):
            raise ValueError("no mapping")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged record of a sweep ({error})") from error
    check_format(record, folder, "start the sweep again")
    try:
        flags, overrides, jobs = (record[key] for key in ("flags", "overrides", "jobs"))
        numbers, names = (_recorded(record, key, len(jobs)) for key in ("numbers", "names"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged record of a sweep ({error})") from error
    return Sweep(folder, flags, overrides, jobs, numbers, record.get("search"), names)


def _recorded(record: dict[str, Any], key: str, count: int) -> list[Any] | None:
    """The folders of jobs in a record, by number or name; ValueError where they are none."""
    found: list[Any] | None = record.get(key)
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != count:
        raise ValueError(f"{key} is not a list of one for each job")
    kind = str if key == "names" else int
    wrong = None if all(type(one) is kind for one in found) else f"{key} has another type"
    wrong = wrong or unusable([str(one) for one in found])
    if wrong is not None:
        raise ValueError(wrong)
    return found


def unusable(names: Sequence[str]) -> str | None:
    """Why the jobs of a sweep cannot have folders of these names below its own; None if they can.

    They lie one or two levels below it, all equally deep so that none is within another.
    """
    for name in names:
        parts = name.split("/")
        problem = "more than two levels" if len(parts) > 2 else None
        problem = next(filter(None, map(_unusable, parts)), problem)
        if problem is None and parts[0] in _OWN:
            problem = "a file of the sweep has that name"
        if problem is not None:
            return f"{name!r}: {problem}"
    name, count = max(Counter(names).items(), key=itemgetter(1), default=("", 0))
    if count > 1:
        return f"{name!r}: {count} jobs would have the same folder"
    deep = {name.count("/") for name in names}
    return "some jobs one level deep, others two" if len(deep) > 1 else None


def _unusable(part: str) -> str | None:
    """Why no folder can have a name; hidden ones are not looked into."""
    if not part.strip():
        return "must be a relative path without an empty part"
    if part.startswith("."):
        return "no part may begin with '.'"
    if not part.isprintable() or set("\\$") & set(part):
        return "has a character that is not allowed in names"
    if len(os.fsencode(part)) > _LONGEST:
        return f"longer than {_LONGEST} bytes"
    return None


def sweep_of(job: Path) -> Path:
    """The folder of the sweep of a job; the parent where no sweep is recorded."""
    around = (job.parent, job.parent.parent)
    return next((folder for folder in around if (folder / RECORD).is_file()), job.parent)


def job_name(folder: Path) -> str:
    """The folder of a job below that of its sweep."""
    return folder.relative_to(sweep_of(folder)).as_posix()


def title(sweep: Sweep) -> str:
    """What the report is called: the study's name and its time."""
    return f"{sweep.folder.parent.name} {sweep.folder.name}"


def ended(folder: Path) -> bool:
    """Whether a job has finished or recorded an error."""
    return (folder / ERROR).is_file() or is_finished(folder)


def lose(folder: Path, reason: str) -> None:
    """Record that the process of a job ended without metrics and without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    message = f"its process was lost: {reason}\n"
    write_atomically(folder / ERROR, message.encode(errors="backslashreplace"))
    print(f"job {job_name(folder)} failed: {message.splitlines()[0]}", file=sys.stderr, flush=True)
