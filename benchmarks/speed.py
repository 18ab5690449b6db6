"""`python benchmarks/speed.py`: how fast everything is, a table with its machine for each section.

Numbers of a busy machine are noise: the load is printed with them. Ratios are taken within a
round, in which every contender had its turn, and survive more than single figures do.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import contractive
import disk
import epoch
import evaluation
import memory
import scale
import start
import step
import sweep
from children import HERE
from machine import cores, describe
from options import CONTENDERS, NETWORKS, Options
from table import markdown, write

SECTIONS = {
    "step": step.measure,
    "epoch": epoch.measure,
    "start": start.measure,
    "sweep": sweep.measure,
    "evaluation": evaluation.measure,
    "contractive": contractive.measure,
    "memory": memory.measure,
    "scale": scale.measure,
    "disk": disk.measure,
}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)

    def listed(name: str, known: tuple[str, ...], text: str) -> None:
        parser.add_argument(
            name,
            type=lambda value: value.split(","),
            default=list(known),
            metavar="A,B",
            help=f"{text}, of {','.join(known)}",
        )

    listed("--only", tuple(SECTIONS), "sections to measure")
    listed("--networks", tuple(NETWORKS), "networks of the section epoch")
    listed("--contenders", CONTENDERS, "contenders of the section epoch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (fewer for slow ones)")
    parser.add_argument("--threads", type=int, default=cores(), help="of torch and of XLA")
    parser.add_argument("--data", default=os.environ.get("AECORE_DATA_DIR", "data"))
    parser.add_argument("--quick", action="store_true", help="one short round")
    text = "folder of speed.md and speed/SECTION.json; without it, whole sections go to results/"
    parser.add_argument("--out", type=Path, help=text)
    given = parser.parse_args()
    for name, known in (
        ("only", SECTIONS), ("networks", NETWORKS), ("contenders", CONTENDERS)
    ):  # fmt: skip
        for word in getattr(given, name):
            if word not in known:
                parser.error(f"--{name}: {word} is none of {', '.join(known)}")
    if not Path(given.data, "MNIST", "raw", "train-images-idx3-ubyte").exists():
        parser.error(f"--data: no MNIST in {given.data}; `python run.py dataset=mnist` fetches it")
    return given


def main() -> None:
    """Measure, print, write."""
    given = parse()
    quick: bool = given.quick
    options = Options(
        networks=tuple(given.networks),
        contenders=tuple(given.contenders),
        repeats=1 if quick else given.repeats,
        slow_repeats=1 if quick else min(2, given.repeats),
        epochs=1 if quick else 3,
        slow_epochs=1,
        images=5_000 if quick else 55_000,
        threads=given.threads,
        data=str(Path(given.data).absolute()),
        jobs=3 if quick else 20,
        quick=quick,
    )
    whole = (given.networks, given.contenders) == (list(NETWORKS), list(CONTENDERS))
    for name in given.only:
        print(f"measuring: {name}", file=sys.stderr)
        rows = SECTIONS[name](options)
        machine = describe(options.threads)
        print(markdown(rows, machine), flush=True)
        # as each section ends; a part never takes the place of a whole one
        if given.out or (not quick and (whole or name != "epoch")):
            write(name, rows, machine, given.out or HERE / "results")


if __name__ == "__main__":
    main()
