"""Executes the notebooks, each in an empty folder: `python .ci/notebooks.py [--write] [NAME ...]`.

A cell that raises ends it with an error. With --write the outputs are stored in the notebooks; they
hold neither paths of this machine nor times, so the same versions of libraries write the same file.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs; CellExecutionError for a cell that raises."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=600,
            resources={"metadata": {"path": folder}},
            record_timing=False,
            coalesce_streams=True,
        ).execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def main() -> None:
    """Execute those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="without .ipynb; all if none is given")
    parser.add_argument("--write", action="store_true", help="store the outputs")
    arguments = parser.parse_args()
    # `aecore` in a cell is that of this interpreter; results depend on the number of threads
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["OMP_NUM_THREADS"] = "1"
    every = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    for name in arguments.names or every:
        if name not in every:
            parser.error(f"{name}: no such notebook, known: {', '.join(every)}")
        path = FOLDER / f"{name}.ipynb"
        print(path.name, flush=True)
        notebook = execute(path)
        if arguments.write:
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
