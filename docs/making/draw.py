"""`python -m docs.making.draw [NAME ...]`: run the commands of images.yaml, keep small PNGs."""

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
from docs.making.images import FOLDER, runs


def main() -> None:
    """Draw the images of the given names, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="images; all by default")
    parser.add_argument("--out", type=Path, default=Path("outputs/images"), help="for runs")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for run in runs():
        drawn = [name for name, image in run["images"].items() if "figure" in image]
        chosen = [name for name in drawn if not options.names or name in options.names]
        if not chosen:
            continue
        folder = options.out / hashlib.sha256(run["command"].encode()).hexdigest()[:8]
        run_command(run["command"], folder)
        for name in chosen:
            image = run["images"][name]
            file = folder / "figures" / f"{image['figure']}.png"
            size = (image.get("width", 1000), image.get("colours", 64))
            shrink(file, FOLDER / f"{name}.png", *size)


def run_command(command: str, folder: Path) -> None:
    """Run a command into a folder, unless the folder holds its results already."""
    arguments = shlex.split(command)
    sweep = "-m" in arguments
    if (folder / ("summary.json" if sweep else METRICS)).is_file():
        return
    where = f"hydra.{'sweep' if sweep else 'run'}.dir={folder}"
    run = [sys.executable, str(ROOT / "run.py"), *arguments, where, "logger=none"]
    subprocess.run(run, check=True)


def shrink(file: Path, to: Path, width: int, colours: int) -> None:
    """Reduce an image to few pixels and colours."""
    image = Image.open(file).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    small = white.convert("RGB")
    if small.width > width:
        size = (width, round(small.height * width / small.width))
        small = small.resize(size, Image.Resampling.LANCZOS)
    method = Image.Quantize.MAXCOVERAGE  # keeps hues of few pixels
    few = small.quantize(colours, method=method, kmeans=4, dither=Image.Dither.NONE)
    few.save(to, optimize=True)
    print(f"{to}: {to.stat().st_size / 1024:.0f} KB, {small.width} x {small.height}")


if __name__ == "__main__":
    main()
