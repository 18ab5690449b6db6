"""Attacks on runs, sweeps, command lines and the Python interface, and what was lost by them.

Each attack is tried again and again, with seeds that begin at `--seed`; the table goes into
results/campaign.md. A try is lost where a run does not end with the bits of one that nobody
disturbed, where a command hangs, and where it ends in a traceback instead of a few lines.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count, cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "campaign.md"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from attacks import attacks  # noqa: E402
from machine import describe  # noqa: E402

QUICK = ("run: a ", "sweep: a ", "command lines", "calls")  # tried three times as often
ATTACKS = {name: (cases, attack) for name, cases, attack in attacks()}


def tried(name: str, seed: int) -> str | None:
    """One try in an empty folder."""
    for speaker in ("tensorboard", "aecore"):
        logging.getLogger(speaker).setLevel(logging.CRITICAL)
    home = os.getcwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return ATTACKS[name][1](Random(f"{name} {seed}"))
        finally:
            os.chdir(home)


def table(tries: Counter[str], found: list[tuple[str, int, str]]) -> str:
    """A row for each attack: tries, then how many ended badly and how."""
    rows = ["| attack | tries | losses | hangs | tracebacks and other ends |", "| --- " * 5 + "|"]
    for name, (cases, _) in ATTACKS.items():
        bad = [text for attack, _, text in found if attack == name]
        kinds = [sum(text.startswith(kind) for text in bad) for kind in ("loss", "hangs")]
        row = (name, f"{tries[name] * cases:,}", *kinds, len(bad) - sum(kinds))
        rows.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(rows)


def main() -> None:
    """Try for as long as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="attacks whose name holds this text")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    names = [name for name in ATTACKS if given.only in name]
    until, tries = time.monotonic() + 60 * given.minutes, Counter[str]()
    found: list[tuple[str, int, str]] = []
    often = [name for name in names if name.startswith(QUICK)]
    asked = zip(cycle([*names, *often, *often]), count(given.seed))
    with ProcessPoolExecutor(given.workers) as pool:
        going: dict[Future[str | None], tuple[str, int]] = {}
        while going or time.monotonic() < until:
            while len(going) < given.workers and time.monotonic() < until:
                name, seed = next(asked)
                going[pool.submit(tried, name, seed)] = (name, seed)
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                name, seed = going.pop(future)
                tries[name] += 1
                error = future.exception()
                text = future.result() if error is None else f"the attack failed: {error!r}"
                if text is not None:
                    found.append((name, seed, text))
                    print(f"{name}, seed {seed}: {text}", flush=True)
    print(table(tries, found))
    if given.only:
        return
    machine = "; ".join(f"{key}: {value}" for key, value in describe(1).items() if key != "threads")
    command = f"`python benchmarks/campaign.py --minutes {given.minutes:g} --seed {given.seed}`"
    ends = [f"- {name}, seed {seed}: `{text[:300]}`" for name, seed, text in found]
    parts = ["# Campaign", f"{command}\n({machine})", table(tries, found), *ends]
    RESULTS.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
