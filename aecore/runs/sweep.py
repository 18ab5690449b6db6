"""The record of a sweep: its overrides and the list of its jobs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aecore.config.overrides import read as read_overrides
from aecore.config.terminal import in_one_line, say
from aecore.errors import UserError
from aecore.runs.files import make_folder, write_atomically
from aecore.runs.folder import ERROR, is_finished
from aecore.runs.format import check_format, stamp
from aecore.runs.lock import writing

if TYPE_CHECKING:
    from pydantic import ValidationError

RECORD = "sweep.json"
_OWN = {  # of the sweep itself
    RECORD, "summary.csv", "groups.csv", "summary.json", "report.html", "figures",
}  # fmt: skip
_LONGEST = 255  # bytes of a file name, letters of a reason
_LARGEST = 2**26  # bytes of a record
STORAGE = "hydra.sweeper.storage"  # the database of a search, where it has one elsewhere


@dataclass(frozen=True)
class Sweep:
    """A multirun.

    flags: `--config-dir` and `--config-name` with their values.
    overrides: those that all jobs share and that Hydra itself reads, in Hydra's grammar.
    jobs: the overrides of each job, in order; job i lives in `folder/i`.
    numbers: where given, job i lives in `folder/numbers[i]` instead.
    names: where given, job i lives in `folder/names[i]` instead, at most two levels below.
    search: where the jobs are chosen one after another, the plan of `aecore.sweeps.search`.
    again: overrides of every job of a search that its plan does not hold.
    unrecorded: names of overrides with which it was started and which its record does not hold.
    """

    folder: Path
    flags: list[str]
    overrides: list[str]
    jobs: list[list[str]]
    numbers: list[int] | None = None
    search: dict[str, Any] | None = None
    names: list[str] | None = None
    again: Sequence[str] = ()
    unrecorded: Sequence[str] = ()

    def write(self) -> None:
        """Record in its folder what a record may hold; of all else, the keys."""
        from aecore.runs.recorded import decides_launch, is_recordable, kept

        overrides, *others = kept(self.overrides, decides_launch)
        jobs = []
        for lines in (*self.jobs, self.again):
            plain, more = kept(lines, is_recordable)
            jobs.append(plain)
            others.append(more)
        record: dict[str, Any] = {
            **stamp(), "flags": self.flags, "overrides": overrides, "jobs": jobs[:-1],
            "unrecorded": [*dict.fromkeys(chain(self.unrecorded, *others))],
        }  # fmt: skip
        if self.search is not None:
            record |= {"numbers": self.numbers, "search": self.search}
        if self.names is not None:
            record["names"] = self.names
        write_atomically(self.folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())

    def begin(self) -> None:
        """Record a new sweep; UserError where its folder holds one already."""
        with writing(self.folder, "starting a sweep here"):
            if (self.folder / RECORD).exists():
                raise UserError(
                    f"hydra.sweep.dir={self.folder}: holds a sweep already",
                    f"continue it with resume={self.folder}, or give another folder",
                )
            self.write()

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

    It holds nothing but what `aecore.runs.recorded` allows in a record.
    Raises UserError for a record that is damaged or of another format.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    from pydantic import ValidationError  # slow, and not needed for every command

    from aecore.runs.sweep_record import RecordedSweep

    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        record = json.loads(path.read_bytes())
        if not isinstance(record, dict):
            raise ValueError("no mapping")
        check_format(record, folder, "start the sweep again")
        found = RecordedSweep.model_validate(record)
        for key, places in {"numbers": found.numbers, "names": found.names}.items():
            if places is not None and len(places) != len(found.jobs):
                raise ValueError(f"{key} is not a list of one for each job")
            if (wrong := unusable([*map(str, places or ())])) is not None:
                raise ValueError(wrong)
    except ValidationError as error:
        raise _damaged(path, _first(error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error) or type(error).__name__) from error
    search = None if found.search is None else found.search.model_dump()
    return Sweep(
        folder, found.flags, found.overrides, found.jobs, found.numbers, search, found.names,
        unrecorded=found.unrecorded,
    )  # fmt: skip


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path}: damaged record of a sweep ({in_one_line(reason)[:_LONGEST]})",
        "start the sweep anew",
    )


def _first(error: ValidationError) -> str:
    """The first of pydantic's errors: where, and what."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


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
    make_folder(folder)
    message = f"its process was lost: {reason}\n"
    write_atomically(folder / ERROR, message.encode(errors="backslashreplace"))
    say(f"job {job_name(folder)} failed: {message.splitlines()[0]}", error=True)
