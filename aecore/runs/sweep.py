"""The record of a sweep: its overrides and the list of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from aecore.config.overrides import read as read_overrides
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.runs.files import make_folder, write_atomically, write_json
from aecore.runs.folder import ERROR, is_finished
from aecore.runs.format import read_stamped, stamp
from aecore.runs.lock import writing
from aecore.runs.recorded import decides_launch, is_recordable, kept
from aecore.runs.sweep_record import RECORD, RecordedSweep

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
        write_json(self.folder / RECORD, record)

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
    def title(self) -> str:
        """What the report is called: the study's name and its time."""
        return f"{self.folder.parent.name} {self.folder.name}"

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
    status = path.stat()  # each job reads it several times, and it is as long as the sweep
    return _read(folder, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _read(folder: Path, *state: int) -> Sweep:
    """What the record of that state holds."""
    record = read_stamped(folder / RECORD, RecordedSweep, "start the sweep again")
    return Sweep(folder, **record.model_dump(exclude={"format", "version"}))


def sweep_of(job: Path) -> Path:
    """The folder of the sweep of a job; the parent where no sweep is recorded."""
    around = (job.parent, job.parent.parent)
    return next((folder for folder in around if (folder / RECORD).is_file()), job.parent)


def job_name(folder: Path) -> str:
    """The folder of a job below that of its sweep."""
    return folder.relative_to(sweep_of(folder)).as_posix()


def not_shared(folder: Path, overrides: Sequence[str]) -> list[str]:
    """The overrides of a job that not all jobs of its sweep have; all where there is one job."""
    sweep = read_sweep(sweep_of(folder))
    shared: set[str] = set()
    if sweep is not None and sweep.search is not None:
        shared = {*sweep.search["fixed"]}
    elif sweep is not None and len(sweep.jobs) > 1:
        shared = set(sweep.jobs[0]).intersection(*sweep.jobs)
    return [text for text in overrides if text not in shared]


def job_label(folder: Path) -> str:
    """`job 4/8`: the place of a job in its sweep, which begins every line that it prints.

    Of a search, whose trials are not counted beforehand, `trial 3`: the name of its folder.
    """
    sweep = read_sweep(sweep_of(folder))
    if sweep is not None and sweep.search is not None:
        return f"trial {job_name(folder)}"
    folders = [] if sweep is None else sweep.folders
    if folder not in folders:
        return f"job {job_name(folder)}"
    return f"job {folders.index(folder) + 1}/{len(folders)}"


def ended(folder: Path) -> bool:
    """Whether a job has finished or recorded an error."""
    return (folder / ERROR).is_file() or is_finished(folder)


def lose(folder: Path, reason: str) -> None:
    """Record that the process of a job ended without metrics and without an error."""
    make_folder(folder)
    message = f"its process was lost: {reason}\n"
    write_atomically(folder / ERROR, message.encode(errors="backslashreplace"))
    say(f"{job_label(folder)}: failed: {message.splitlines()[0]}", error=True)
