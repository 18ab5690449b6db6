"""Peak memory of whole runs on folders of images, by their number and by `dataset.in_memory`.

    python benchmarks/folder_memory.py --counts 1000 10000 50000

Makes the images (64 x 64 in colour) below a temporary folder and runs `run.py` on them: in memory,
with the decoded images in a file that is yet to be written ("new file"), and with it there
("file"). Linux only. Columns, in MB, of that process:

    anonymous   RssAnon at its peak, sampled: what the process holds for itself
    file        RssFile at its peak, sampled: mapped files, the images among them, which the
                system takes back when memory is short
    high water  VmHWM: both together at their peak
    images      the decoded images of both splits
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
SIDE = 64
WAYS = (("memory", "true"), ("new file", "false"), ("file", "false"))


def make(root: Path, count: int) -> None:
    """So many JPEG files of smooth colours, 1000 a folder."""

    def save(i: int) -> None:
        path = root / f"{i // 1000:04}" / f"{i:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(i).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(small).resize((SIDE, SIDE)).save(path)

    with ThreadPoolExecutor() as pool:
        for start in range(0, count, 1000):
            list(pool.map(save, range(start, min(start + 1000, count))))


def status(pid: int) -> dict[str, float]:
    """What the system tells of a process's memory, in MB; empty when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    table = dict(line.split(":", 1) for line in lines)
    keys = ("RssAnon", "RssFile", "VmHWM")
    return {key: int(table[key].split()[0]) * 1024 / 1e6 for key in keys if key in table}


def run(root: Path, in_memory: str, folder: Path) -> tuple[dict[str, float], float]:
    """Peaks of one run on the images of a folder in MB, and its seconds."""
    return peaks_of([
        "dataset=image_folder", f"dataset.root={root}", f"dataset.image_size={SIDE}",
        f"dataset.in_memory={in_memory}", f"paths.data_dir={root.parent / 'data'}",
    ], folder)  # fmt: skip


def peaks_of(data: Sequence[str], folder: Path) -> tuple[dict[str, float], float]:
    """Peaks of one run in MB, and its seconds. data: overrides that name the images."""
    command = [
        sys.executable, str(ROOT / "run.py"), "model=ae", *data,
        "dataset.val_size=200", "dataset.batch_size=100", "dataset.eval_batch_size=100",
        "dataset.range=standardised", "trainer.max_epochs=1", "network.hidden=[32]",
        "logger=none", "figures=none", f"hydra.run.dir={folder}",
    ]  # fmt: skip
    peaks: dict[str, float] = {}
    start = time.perf_counter()
    with open(f"{folder}.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None:
            for key, value in status(process.pid).items():
                peaks[key] = max(peaks.get(key, 0.0), value)
            time.sleep(0.01)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{Path(f'{folder}.log').read_text()}")
    return peaks, time.perf_counter() - start


def main() -> None:
    """Print the table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 50_000])
    counts = parser.parse_args().counts
    print("| images | in | anonymous | file | high water | images | seconds |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name) / "images"
            make(root, count)
            for number, (way, in_memory) in enumerate(WAYS):
                peaks, seconds = run(root, in_memory, Path(name) / f"run{number}")
                cells = [peaks["RssAnon"], peaks["RssFile"], peaks["VmHWM"]]
                cells += [count * 3 * SIDE * SIDE / 1e6, seconds]
                row = " | ".join(f"{cell:,.0f}" for cell in cells)
                print(f"| {count:,} | {way} | {row} |", flush=True)


if __name__ == "__main__":
    main()
