"""Many runs: side by side, as a large grid, as a thousand tiny jobs, and in the tables of those."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

from children import RUN, call, python
from options import NETWORKS, Options, common
from table import Row

SIDE_BY_SIDE = 1 / 1.8  # of the time of one after another
GRID, TINY = 1000, 1000
GRID_SECONDS, LIST_SECONDS, COMPARE_SECONDS = 20.0, 5.0, 20.0
GROWTH, MEGABYTES = 1.1, 100.0  # of the cost a job, where 10 % are taken for noise
_MODELS = "ae,vae,contractive,sparse,beta_vae,k_sparse,wae,rae,kl_sparse,dip_vae"
_NOISES = "none,gaussian,dropout,salt_and_pepper,stains"


def measure(options: Options) -> list[Row]:
    """Jobs by two launchers, a grid that is only checked, tiny jobs and what reads their runs."""
    rows = [*_side_by_side(options), _grid(options)]
    with tempfile.TemporaryDirectory() as folder:
        return [*rows, *_tiny(options, folder), *_read(options, folder)]


def _side_by_side(options: Options) -> list[Row]:
    jobs, epochs = (2, 1) if options.quick else (8, 7)
    seconds: dict[str, list[float]] = {"basic": [], "joblib": []}
    for _ in range(options.slow_repeats):
        for launcher, found in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                overrides = [
                    *NETWORKS["vae"].overrides,
                    *common(options.images, 1, options.data),
                    f"trainer.max_epochs={epochs}",
                    f"seed=range({jobs})",
                    f"hydra/launcher={launcher}",
                    f"hydra.sweep.dir={folder}/sweep",
                    *(["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []),
                ]
                environment = {"OMP_NUM_THREADS": "1"}
                found.append(python(RUN, "-m", *overrides, environment=environment).wall)
    what = f"{jobs} jobs of {epochs} epochs of a VAE, one thread each"
    ratios = [a / b for a, b in zip(seconds["joblib"], seconds["basic"], strict=True)]
    return [
        Row("scale", what, "one after another", seconds["basic"]),
        Row("scale", what, "joblib, two workers", seconds["joblib"]),
        Row("scale", what, "joblib / basic", ratios, "", bound=SIDE_BY_SIDE),
    ]


def _grid(options: Options) -> Row:
    points = 100 if options.quick else GRID
    found = call("scale", options.threads, {"points": points})
    what = f"{found['points']} points of {found['selections']} selections checked"
    return Row("scale", what, "ours", [found["seconds"]], bound=GRID_SECONDS)


def run(points: int) -> dict[str, float]:
    """Seconds in which a grid is composed, checked and recorded, as `-m` does it first."""
    from aecore.config.arguments import parse
    from aecore.config.compose import compose
    from aecore.sweeps.plan import plan_grid

    with tempfile.TemporaryDirectory() as folder:
        arguments = parse([
            "-m", f"model={_MODELS}", f"noise={_NOISES}", "network.hidden=[8]", "latent.dim=16,17",
            f"seed=range({points // 100})", f"hydra.sweep.dir={folder}/sweep",
        ])  # fmt: skip
        composition = compose(arguments)
        import_module("aecore.training.config_checker")  # torch, which is another matter
        start = time.perf_counter()
        sweep, _ = plan_grid(arguments, composition)
        seconds = time.perf_counter() - start
    selections = {
        tuple(line for line in job if line[:5] in ("model", "noise")) for job in sweep.jobs
    }
    return {"points": len(sweep.jobs), "selections": len(selections), "seconds": seconds}


def _tiny(options: Options, folder: str) -> list[Row]:
    jobs = 60 if options.quick else TINY
    hundred = jobs // 3 if options.quick else 100
    output = Path(folder, "jobs.json")
    python(__file__, json.dumps({"jobs": jobs, "folder": folder, "output": str(output)}))
    each: list[dict[str, float]] = json.loads(output.read_text())
    first, last = each[1 : hundred + 1], each[-hundred:]  # the first job imports what is left
    rows = []
    for clock in ("processor", "wall"):
        ends = [fmean(job[clock] for job in some) for some in (first, last)]
        what = f"a job of {jobs} tiny ones, {clock} time"
        rows += [
            Row("scale", what, f"the first {hundred}", ends[:1]),
            Row("scale", what, f"the last {hundred}", ends[1:]),
            Row("scale", what, "last / first", [ends[1] / ends[0]], "", bound=GROWTH),
        ]
    grown = each[-1]["megabytes"] - each[hundred - 1]["megabytes"]
    what = f"memory after {jobs} jobs above that after {hundred}"
    return [*rows, Row("scale", what, "ours", [grown], "MB", bound=MEGABYTES)]


def _read(options: Options, folder: str) -> list[Row]:
    output = f"paths.output_dir={folder}"
    listed = python(RUN, "task=list", output).wall
    compared = python(RUN, "task=compare", f"runs={folder}/sweep", output).wall
    page = Path(folder, "sweep", "report.html").stat().st_size / 1e6
    runs = "60 runs" if options.quick else f"{TINY} runs"
    return [
        Row("scale", f"task=list of {runs}", "ours", [listed], bound=LIST_SECONDS),
        Row("scale", f"task=compare of {runs}", "ours", [compared], bound=COMPARE_SECONDS),
        Row("scale", f"the page of {runs}", "ours", [page], "MB"),
    ]


def _sweep(jobs: int, folder: str, output: str) -> int:
    """A sweep of tiny jobs, of each of which processor and wall time and memory are noted."""
    from aecore.cli import main
    from aecore.sweeps import job

    each: list[dict[str, float]] = []
    whole = job.run_job

    def run_job(config: Any) -> float | None:
        processor, wall = time.process_time(), time.perf_counter()
        try:
            return whole(config)
        finally:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            each.append({
                "processor": time.process_time() - processor,
                "wall": time.perf_counter() - wall,
                "megabytes": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            })  # fmt: skip

    job.run_job = run_job
    status = main([
        "-m", "model=ae", "network.hidden=[8]", "latent.dim=2", "dataset=digits",
        "dataset.train_size=256", "trainer.max_epochs=1", "figures=none", "logger=none",
        f"seed=range({jobs})", f"hydra.sweep.dir={folder}/sweep",
    ])  # fmt: skip
    Path(output).write_text(json.dumps(each))
    return status


if __name__ == "__main__":
    sys.exit(_sweep(**json.loads(sys.argv[1])))
