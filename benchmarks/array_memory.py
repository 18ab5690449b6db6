"""Peak memory of whole runs on an .npy file, by its size and its type of numbers.

    python benchmarks/array_memory.py --megabytes 100 1500

Makes a sparse file below a temporary folder, which takes hardly any room on the disk, and runs
`run.py` on it. Linux only. Columns in MB, see `folder_memory.py`. Where a file is mapped the
anonymous memory must not grow with it; exit status 1 where it grows by more than 500 MB from the
first file to the last of a type.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from folder_memory import peaks_of

SHAPES = {"uint8": (3, 64, 64), "float32": (1, 64, 64), "float64": (1, 64, 64)}
MOST = 500  # MB


def make(path: Path, dtype: str, size: float) -> None:
    """A file of that many bytes, of zeros with a first image that is not."""
    shape = SHAPES[dtype]
    count = int(size) // (np.dtype(dtype).itemsize * int(np.prod(shape)))
    array = np.lib.format.open_memmap(path, "w+", dtype, (count, *shape))
    array[0] = np.random.default_rng(0).integers(0, 256, shape)
    array[1:][:: max(count // 100, 1)] = 1
    array.flush()


def main() -> None:
    """Print the table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 1500])
    parser.add_argument("--types", nargs="+", choices=[*SHAPES], default=[*SHAPES])
    arguments = parser.parse_args()
    print("| type | file size | anonymous | file | high water | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    grown = False
    for dtype in arguments.types:
        anonymous = []
        for size in arguments.megabytes:
            with tempfile.TemporaryDirectory() as name:
                path = Path(name, "x.npy")
                make(path, dtype, size * 1e6)
                data = ["dataset=arrays", f"dataset.path={path}"]
                peaks, seconds = peaks_of(data, Path(name, "run"))
            anonymous.append(peaks["RssAnon"])
            cells = [peaks["RssAnon"], peaks["RssFile"], peaks["VmHWM"], seconds]
            row = " | ".join(f"{cell:,.0f}" for cell in cells)
            print(f"| {dtype} | {size:,} | {row} |", flush=True)
        grown |= anonymous[-1] > anonymous[0] + MOST
    sys.exit(int(grown))


if __name__ == "__main__":
    main()
