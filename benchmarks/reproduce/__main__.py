"""`python -m benchmarks.reproduce`: run what has not been run, then write RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import torch

from aecore.config.folders import HOME, ROOT, command
from aecore.errors import UserError, nearest
from aecore.runs.files import write_atomically
from aecore.runs.folder import is_run
from aecore.runs.sweep_record import RECORD

from .page import page
from .rows import Row, documents, is_finished

_MINUTES = "minutes.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 1 where a run failed or a loss is above what it should be; 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    parser.add_argument("names", nargs="*", help="experiments or studies; all if none is given")
    parser.add_argument("--out", type=Path, default=Path("outputs/results"), help="for the runs")
    parser.add_argument("--page", type=Path, default=Path("RESULTS.md"), help="the page to write")
    more = "further words for every run, for example trainer.max_epochs=1"
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", dest="more", help=more)
    options = parser.parse_args(argv)
    try:
        return _reproduce(
            options.names, options.out.absolute(), options.page.absolute(), options.more
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def _reproduce(names: Sequence[str], out: Path, file: Path, more: Sequence[str]) -> int:
    everything = documents()
    rows = {row.run: row for document in everything for row in document.rows}
    for name in names:
        if name not in rows:
            raise UserError(
                f"{name}: no such experiment or study{nearest(name, rows)}\n"
                f"  known: {', '.join(rows)}"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
        minutes: dict[str, float] = {}
        if (out / _MINUTES).is_file():
            minutes = json.loads((out / _MINUTES).read_text())
        for name in names or rows:
            started = monotonic()
            if is_finished(out / name, rows[name].is_sweep):
                continue
            run(rows[name], out / name, more)
            minutes[name] = minutes.get(name, 0.0) + (monotonic() - started) / 60
            write_atomically(out / _MINUTES, json.dumps(minutes, indent=2).encode())
        above = page(everything, out, minutes, file, machine())
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror or error}") from error
    for line in above:
        print(line, file=sys.stderr)
    print(f"written: {file}")
    return 1 if above else 0


def run(row: Row, folder: Path, more: Sequence[str]) -> None:
    """The row's command in a process of its own, or the rest of it where it was interrupted."""
    words = [row.command, *more]
    if is_run(folder) or (folder / RECORD).is_file():
        words = [f"resume={folder}"]
    else:
        words.append(f"hydra.{'sweep' if row.is_sweep else 'run'}.dir={folder}")
    print(f"\n$ {command()} {' '.join(words)}", flush=True)
    place = ROOT if HOME == ROOT else None  # a clone has its data in it
    subprocess.run([sys.executable, "-m", "aecore", *words], cwd=place, check=False)


def machine() -> str:
    """What the runs were done on."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    threads = torch.get_num_threads()
    return (
        f"Run with PyTorch {torch.__version__.partition('+')[0]}, {threads} "
        f"thread{'' if threads == 1 else 's'}, on {cores} cores of {_cpu()}"
        f"{', ' + torch.cuda.get_device_name() if torch.cuda.is_available() else ''}."
    )


def _cpu() -> str:
    """The processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
