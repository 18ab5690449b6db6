"""What a job prints of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aecore.runs.sweep import Sweep, job_label, not_shared

SEARCH: dict[str, Any] = {
    "n_trials": 20, "n_jobs": 1, "direction": "minimize", "storage": None, "study_name": "s",
    "sampler": "tpe", "pruner": "none", "warmup": 5, "seed": 0, "metric": "val/loss",
    "owner": "here", "fixed": ["figures=none"], "space": {},
}  # fmt: skip


def test_a_job_of_a_grid_names_what_varies(tmp_path: Path) -> None:
    jobs = [["model=ae", f"seed={seed}", "logger=none"] for seed in range(3)]
    Sweep(tmp_path, [], [], jobs).begin()
    assert not_shared(tmp_path / "1", jobs[1]) == ["seed=1"]
    assert job_label(tmp_path / "1") == "job 2/3"


def test_the_only_job_names_everything(tmp_path: Path) -> None:
    Sweep(tmp_path, [], [], [["model=ae", "seed=0"]]).begin()
    assert not_shared(tmp_path / "0", ["model=ae", "seed=0"]) == ["model=ae", "seed=0"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_is_called_as_in_the_table_of_trials(tmp_path: Path, jobs: int) -> None:
    lines = [["figures=none", f"latent.dim={dim}"] for dim in range(2, 2 + jobs)]
    Sweep(tmp_path, [], [], lines, [*range(jobs)], SEARCH).begin()
    assert not_shared(tmp_path / "0", lines[0]) == ["latent.dim=2"]
    assert job_label(tmp_path / "0") == "trial 0"
