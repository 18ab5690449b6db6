"""How much memory there is, and whether decoded images go into it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from aecore.errors import ConfigError, Hint

InMemory = Literal["auto"] | bool

COPIES = 2  # of the images while a split is divided into training and validation
SHARE = 0.5  # of the memory at hand that `auto` takes at most
GIB = 2**30
SMALLER = {"dataset.image_size": "[H,W] of fewer pixels"}  # a hint

# The files of a control group (a container, a Slurm job): limit, use, caches within the use.
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file total_inactive_file")
_V2 = ("memory.max", "memory.current", "active_file inactive_file")


def fits(in_memory: InMemory, count: int, shape: tuple[int, ...], free: int | None) -> bool:
    """Whether `count` uint8 images of a shape should be held in memory.

    free: bytes of free memory; None if unknown: then True unless in_memory is False.
    Raises ConfigError if in_memory is True and there is too little.
    """
    needed = COPIES * count * math.prod(shape)
    if in_memory == "auto":
        return free is None or needed <= free * SHARE
    if in_memory:
        hint = {"dataset.in_memory": "auto, which keeps them in a file", **SMALLER}
        check_memory(needed, free, ("dataset.in_memory", True), f"{count:,} images", hint)
    return in_memory


def check_memory(
    needed: int, free: int | None, option: tuple[str, object], what: str, hint: Hint
) -> None:
    """Raise ConfigError where more bytes are needed, if only for a moment, than are free.

    option: the key and the value to blame. what: takes these bytes.
    """
    if free is not None and needed > free:
        raise ConfigError(
            *option,
            f"{what} need {needed / GIB:,.1f} GiB for a moment, only {free / GIB:,.1f} GiB of "
            "memory are free", hint,
        )  # fmt: skip


def available_memory(system: Path = Path("/")) -> int | None:
    """Bytes that this process may still take, by the system and its control groups.

    system: where `proc` and `sys` lie. None where the system does not say.
    """
    amounts = [n for n in (_of_the_machine(system), *_of_the_groups(system)) if n is not None]
    return min(amounts, default=None)


def _of_the_machine(system: Path) -> int | None:
    try:
        lines = (system / "proc/meminfo").read_text().splitlines()
        table = dict(line.split(":", 1) for line in lines)
        return int(table["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:  # half of all: the free memory is unknown
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _of_the_groups(system: Path) -> Iterator[int]:
    """The remaining memory of each limit, from the group of this process to the root."""
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = system / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            left = _left(folder, _V1 if controllers else _V2)
            if left is not None:
                yield left
            if folder == top:
                break


def _left(group: Path, files: tuple[str, str, str]) -> int | None:
    limit, used, caches = files
    try:
        total, taken = (int((group / name).read_text()) for name in (limit, used))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group, or "max": no limit
        return None
    return max(total - taken + sum(int(stat.get(name, 0)) for name in caches.split()), 0)
