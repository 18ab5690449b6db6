"""Faults planted in the formulas one at a time, and which of them no test detects.

A seeded sample of all mutants of the packages below is tried, each against the tests of its
package. Survivors are written to results/mutants.md; the reasons there are written by hand, and
kept when the file is written again.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory, mkdtemp

import pytest

from mutations import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "mutants.md"
PARTS = ("penalties", "latents", "priors", "objectives", "reconstruction", "samplers", "noise")
PACKAGES = (*(f"model/{part}" for part in PARTS), "evaluation/metrics")
COPIED = "aecore conf docs sweeps tests pyproject.toml run.py README.md"
# imported once, before a process is forked for each mutant: it takes longer than most tests
HEAVY = (
    "torch torchvision pytorch_lightning torchmetrics hydra zuko hypothesis matplotlib.pyplot "
    "xdist sklearn.cluster sklearn.ensemble sklearn.linear_model sklearn.mixture sklearn.neighbors"
)
CPU_SECONDS, SECONDS = 150, 1200  # what takes longer counts as detected
UNEXPLAINED = "unexplained"


def tests_of(source: Path) -> list[str]:
    """The test files of its package, and those beside them that name the module: these first."""
    folder = ROOT / "tests" / next(p for p in PACKAGES if source.is_relative_to(f"aecore/{p}"))
    module = ".".join(source.with_suffix("").parts)
    files = [*folder.rglob("test_*.py"), *folder.parent.glob("test_*.py")]
    named = {file for file in files if module in file.read_text()}
    own = [file for file in sorted(files) if file in named or file.is_relative_to(folder)]
    return [str(file.relative_to(ROOT)) for file in sorted(own, key=lambda file: file not in named)]


def begin(folders: str) -> None:
    """Import what is large, and go into a copy whose compiled files are checked by content."""
    for name in HEAVY.split():
        importlib.import_module(name)
    folder = mkdtemp(dir=folders)
    for name in COPIED.split():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, Path(folder) / name)
    os.chdir(folder)
    checked = PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(".", quiet=1, force=True, invalidation_mode=checked)
    sys.path[:0], sys.dont_write_bytecode = [folder, f"{folder}/tests"], True
    os.environ |= {"PYTHONPATH": f"{folder}:{folder}/tests", "PYTHONDONTWRITEBYTECODE": "1"}


def survives(mutant: Mutant) -> tuple[Mutant, bool]:
    """A mutant, and whether its tests pass in the copy."""
    original = mutant.source.read_bytes()
    mutant.source.write_bytes(mutant.code)
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open("tests.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        signal.alarm(SECONDS)
        # without a test whose processes import all of it again
        options = ["-x", "-n0", "-p", "no:cacheprovider", "-k", "not all_processes"]
        os._exit(int(pytest.main([*options, *tests_of(mutant.source)])))
    _, status = os.waitpid(child, 0)
    mutant.source.write_bytes(original)
    return mutant, status == 0


def write(head: str, survivors: list[str]) -> None:
    """The table of survivors; the reason of one that was there stays."""
    old = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    reasons = dict(line.strip("| ").rsplit(" | ", 1) for line in old if line.startswith("| "))
    rows = [f"| {row} | {reasons.get(row, UNEXPLAINED)} |" for row in sorted(survivors)]
    table = ["| where | mutant | why no test detects it |", "| --- | --- | --- |", *rows]
    head += (
        f" Not detected: {len(rows)}, of which unexplained: {sum(UNEXPLAINED in r for r in rows)}."
    )
    RESULTS.write_text("\n".join(["# Mutants", "", head, "", *table, ""]))


def main() -> None:
    """Run the sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--detected", type=Path, help="a file of those that need not run again")
    given = parser.parse_args()
    files = [file for p in PACKAGES for file in sorted((ROOT / "aecore" / p).rglob("*.py"))]
    every = [mutant for file in files for mutant in mutants_of(ROOT, file.relative_to(ROOT))]
    unchanged = [Mutant(f.relative_to(ROOT), f.read_bytes(), "") for f in files if f.stem == "base"]
    every.sort(key=lambda mutant: hashlib.sha256(f"{given.seed} {mutant.row}".encode()).digest())
    sample = every[: given.count]  # which hardly changes when the code does
    seen = set(given.detected.read_text().splitlines()) if given.detected else set()
    left = [mutant for mutant in sample if mutant.row not in seen]
    survivors = []
    fork = multiprocessing.get_context("fork")
    with (
        TemporaryDirectory() as folders,
        ProcessPoolExecutor(given.workers, fork, begin, (folders,)) as pool,
    ):
        for mutant, passed in pool.map(survives, unchanged):
            if not passed:
                sys.exit(f"{mutant.source.parent}: its tests fail without a fault")
        for n, (mutant, survived) in enumerate(pool.map(survives, left), 1):
            outcome = "SURVIVED" if survived else "detected"
            print(f"{n}/{len(left)} {outcome} {mutant.row}", flush=True)
            survivors += [mutant.row] * survived
            if given.detected and not survived:
                given.detected.open("a").write(f"{mutant.row}\n")
    command = f"`python benchmarks/mutants.py --seed {given.seed} --count {given.count}`"
    write(f"{command} tried {len(sample)} of {len(every)} mutants.", survivors)


if __name__ == "__main__":
    main()
