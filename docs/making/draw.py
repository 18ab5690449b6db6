"""`python docs/making/draw.py [NAME ...]`: run the commands of pictures.yaml, keep small PNGs."""

from __future__ import annotations

import argparse
import hashlib
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

from aecore.config.folders import ROOT
from aecore.runs.folder import METRICS
from pictures import FOLDER, runs


def main() -> None:
    """Draw the pictures of the given names, all of them if none is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="pictures; all if none is given")
    parser.add_argument("--out", type=Path, default=Path("outputs/pictures"), help="for the runs")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for run in runs():
        drawn = [n for n, picture in run["pictures"].items() if "figure" in picture]
        chosen = [n for n in drawn if not options.names or n in options.names]
        if not chosen:
            continue
        folder = options.out / hashlib.sha256(run["command"].encode()).hexdigest()[:8]
        made(run["command"], folder)
        for name in chosen:
            picture = run["pictures"][name]
            file = folder / "figures" / f"{picture['figure']}.png"
            size = (picture.get("width", 1000), picture.get("colours", 64))
            shrink(file, FOLDER / f"{name}.png", *size)


def made(command: str, folder: Path) -> None:
    """Run a command into a folder, unless that holds its results already."""
    words = shlex.split(command)
    sweep = "-m" in words
    if (folder / ("summary.json" if sweep else METRICS)).is_file():
        return
    where = f"hydra.{'sweep' if sweep else 'run'}.dir={folder}"
    run = [sys.executable, str(ROOT / "run.py"), *words, where, "logger=none"]
    subprocess.run(run, check=True)


def shrink(file: Path, to: Path, width: int, colours: int) -> None:
    """Keep a picture with few dots and colours."""
    image = Image.open(file).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    small = white.convert("RGB")
    if small.width > width:
        size = (width, round(small.height * width / small.width))
        small = small.resize(size, Image.Resampling.LANCZOS)
    method = Image.Quantize.MAXCOVERAGE  # keeps hues that few dots have
    few = small.quantize(colours, method=method, kmeans=4, dither=Image.Dither.NONE)
    few.save(to, optimize=True)
    print(f"{to}: {to.stat().st_size / 1024:.0f} KB, {small.width} x {small.height}")


if __name__ == "__main__":
    main()
