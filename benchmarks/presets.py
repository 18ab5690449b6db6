"""Error, ELBO, seconds and parameters of presets: tables of the README and docs/model.md.

    python benchmarks/presets.py [--presets pca,ae,vae] [--keep] [OVERRIDE ...]
    python benchmarks/presets.py --sweep FOLDER

Trains each preset on MNIST, one after another, or reads the finished sweep of a folder; writes
results/presets.json, and with it the pages (`python -m docs.build`).
"""

from __future__ import annotations

import argparse
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aecore
from aecore.cli import main as command_line
from aecore.config.folders import builtin_options
from aecore.runs.folder import read_metrics
from aecore.runs.sweep import Sweep, read_sweep
from docs import build
from docs.making.measured import RECORD
from machine import describe

_QUIET = {"figures=none", "logger=none"}


def main() -> int:
    """Measure or read, and write; the exit status is 1 where a preset has no metrics."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default=",".join(builtin_options("model")), metavar="A,B")
    parser.add_argument("--sweep", type=Path, help="a finished sweep over model=, to be read")
    parser.add_argument("--out", type=Path, default=_new_folder(), help="folder of a new sweep")
    text = "keep the command and the numbers of presets that were not trained again"
    parser.add_argument("--keep", action="store_true", help=text)
    parser.add_argument("--note", default="", help="a sentence below the tables")
    given, overrides = parser.parse_known_args()
    folder = given.sweep or given.out
    if given.sweep is None:
        data = [] if any(word.startswith("dataset=") for word in overrides) else ["dataset=mnist"]
        words = [f"model={given.presets}", *data, *overrides, *sorted(_QUIET)]
        command_line(["-m", *words, f"hydra.sweep.dir={folder}"])
    sweep = read_sweep(folder)
    if sweep is None:
        parser.error(f"{folder}: no sweep is recorded here")
    measured = record(sweep)
    if given.keep:
        kept = json.loads(RECORD.read_text(encoding="utf-8"))
        measured = {**kept, "presets": {**kept["presets"], **measured["presets"]}}
    measured["note"] = given.note
    RECORD.write_text(f"{json.dumps(measured, indent=2)}\n", encoding="utf-8")
    for path, text in build.outdated().items():
        path.write_text(text, encoding="utf-8")
    missing = [job["model"] for job in sweep.grid if job["model"] not in measured["presets"]]
    print(f"{RECORD}: {len(measured['presets'])} presets; without metrics: {missing or 'none'}")
    return int(bool(missing))


def record(sweep: Sweep) -> dict[str, Any]:
    """The command of a sweep over `model`, the machine, and the numbers of each finished job."""
    presets = {}
    for job, folder in zip(sweep.grid, sweep.folders, strict=True):
        if metrics := read_metrics(folder):
            names = {"test/mse": "test/mse", "test/elbo": "test/elbo", "seconds": "train/seconds"}
            numbers = {name: metrics[key] for name, key in names.items() if key in metrics}
            model = aecore.load(folder, device="cpu").model
            presets[job["model"]] = {**numbers, "parameters": _parameters(model)}
    rest = [word for word in sweep.jobs[0] if not word.startswith("model=") and word not in _QUIET]
    named = any(word.startswith("sweeps=") for word in rest)  # a study, which lists the presets
    chosen = [] if named else [f"model={','.join(presets)}"]
    command = ["python", "run.py", "-m", *chosen, *rest]
    there = describe(1)
    return {
        "command": shlex.join(command),
        "machine": f"{there['cores']} cores of {there['processor']}, load {there['load']}",
        "presets": presets,
    }


def _parameters(model: aecore.Autoencoder) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _new_folder() -> Path:
    return Path("outputs", "presets", datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S"))


if __name__ == "__main__":
    raise SystemExit(main())
