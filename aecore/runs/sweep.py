"""The record of a sweep: its overrides and the list of its jobs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecore.config.overrides import read as read_overrides
from aecore.errors import UserError
from aecore.runs.folder import ERROR, METRICS, write_atomically
from aecore.runs.format import check_format, stamp

RECORD = "sweep.json"
LEADER = ".running"  # locked by the process that launched the jobs, while it wants them to go on


@dataclass(frozen=True)
class Sweep:
    """A recorded multirun.

    overrides: those that all jobs share and that Hydra itself reads, in Hydra's grammar.
    jobs: the overrides of each job, in order; job i lives in `folder/i`.
    numbers: where given, job i lives in `folder/numbers[i]` instead.
    search: where the jobs are chosen one after another, the plan of `aecore.sweeps.search`.
    """

    folder: Path
    flags: list[str]
    overrides: list[str]
    jobs: list[list[str]]
    numbers: list[int] | None = None
    search: dict[str, Any] | None = None

    def write(self) -> None:
        """Record it in its folder."""
        record: dict[str, Any] = {
            **stamp(), "flags": self.flags, "overrides": self.overrides, "jobs": self.jobs,
        }  # fmt: skip
        if self.search is not None:
            record |= {"numbers": self.numbers, "search": self.search}
        write_atomically(self.folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())

    @property
    def folders(self) -> list[Path]:
        """The run folder of each job, there or not."""
        numbers = range(len(self.jobs)) if self.numbers is None else self.numbers
        return [self.folder / str(number) for number in numbers]

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
    except KeyError as error:
        raise UserError(f"{path}: damaged record of a sweep ({error})") from error
    return Sweep(folder, flags, overrides, jobs, record.get("numbers"), record.get("search"))


def title(sweep: Sweep) -> str:
    """What the report is called: the study's name and its time."""
    return f"{sweep.folder.parent.name} {sweep.folder.name}"


def ended(folder: Path) -> bool:
    """Whether a job has finished or recorded an error."""
    return (folder / METRICS).is_file() or (folder / ERROR).is_file()


def lose(folder: Path, reason: str) -> None:
    """Record that the process of a job ended without metrics and without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    message = f"its process was lost: {reason}\n"
    write_atomically(folder / ERROR, message.encode(errors="backslashreplace"))
    print(f"job {folder.name} failed: {message.splitlines()[0]}", file=sys.stderr, flush=True)
