"""The record of a sweep: read as it stands on the disk, however often it was read before."""

from __future__ import annotations

from pathlib import Path

import pytest

from aecore.errors import UserError
from aecore.runs.sweep import Sweep, read_sweep


def test_a_record_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert read_sweep(tmp_path) is None
    for seed in (1, 2, 3):  # records of one length
        for folder in (tmp_path, other):
            Sweep(folder, [], [], [[f"seed={seed}"]]).write()
        for folder in (tmp_path, other, tmp_path):
            found = read_sweep(folder)
            assert found is not None and (found.folder, found.jobs) == (folder, [[f"seed={seed}"]])
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(UserError):
        read_sweep(tmp_path)
    (tmp_path / "sweep.json").unlink()
    assert read_sweep(tmp_path) is None
