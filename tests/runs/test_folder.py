"""The run folder: whole files or none, names that do not clash, what is written is read."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from aecore.errors import UserError
from aecore.runs.files import write_atomically
from aecore.runs.folder import (
    is_run,
    plain_config,
    read_config,
    read_history,
    read_metrics,
    read_run,
    reserve,
    write_config,
    write_metrics,
    write_run,
)
from aecore.training.callbacks.history import History
from aecore.version import FORMAT, __version__
from helpers.models import data, fit, images, model


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _reserve_many(folder: Path, start: Any, answers: Any) -> None:
    start.wait()
    for _ in range(5):
        answers.put(reserve(folder).name)


class TestReserve:
    def test_counts_up(self, tmp_path: Path) -> None:
        folder = tmp_path / "deep" / "run"
        found = [reserve(folder) for _ in range(4)]
        assert [path.name for path in found] == ["run", "run-1", "run-2", "run-3"]
        assert all(path.is_dir() and path.parent == folder.parent for path in found)

    def test_fills_no_used_folder(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "kept").write_text("mine")
        assert reserve(tmp_path / "run").name == "run-1"
        assert names(tmp_path / "run") == {"kept"} and not names(tmp_path / "run-1")

    def test_many_threads_at_once(self, tmp_path: Path) -> None:
        barrier = threading.Barrier(8)

        def one(_: int) -> Path:
            barrier.wait()
            return reserve(tmp_path / "run")

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(one, range(8)))
        assert len(set(found)) == 8 and names(tmp_path) == {path.name for path in found}

    def test_many_processes_at_once(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("fork")
        start, answers = context.Event(), context.Queue()
        arguments = (tmp_path / "sub" / "run", start, answers)
        processes = [context.Process(target=_reserve_many, args=arguments) for _ in range(8)]
        for process in processes:
            process.start()
        start.set()
        found = [answers.get(timeout=30) for _ in range(40)]
        for process in processes:
            process.join(30)
        assert len(set(found)) == 40 == len(names(tmp_path / "sub"))

    def test_a_file_in_the_way_ends_it(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("a file")
        with pytest.raises(FileExistsError):
            reserve(tmp_path / "run")


class TestWriteAtomically:
    def test_writes_and_replaces(self, tmp_path: Path) -> None:
        for content in (b"", b"one", os.urandom(100_000)):
            write_atomically(tmp_path / "file", content)
            assert (tmp_path / "file").read_bytes() == content
        assert names(tmp_path) == {"file"}

    def test_a_reader_sees_the_old_or_the_new(self, tmp_path: Path) -> None:
        path, stop, seen = tmp_path / "file", threading.Event(), set()
        path.write_bytes(b"a" * 50_000)

        def watch() -> None:
            while not stop.is_set():
                content = path.read_bytes()
                seen.add((len(content), content[:1], content[-1:]))

        thread = threading.Thread(target=watch)
        thread.start()
        for letter in [b"b", b"c"] * 15:
            write_atomically(path, letter * 50_000)
        stop.set()
        thread.join()
        assert seen <= {(50_000, letter, letter) for letter in (b"a", b"b", b"c")}

    def test_a_write_that_fails_halfway_leaves_the_old_file(self, tmp_path: Path) -> None:
        """A file may grow to 1000 bytes here, as on a disk that is full after them."""
        path = tmp_path / "file"
        write_atomically(path, b"old")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large") as raised:
                write_atomically(path, b"x" * 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert raised.value.filename == str(path)
        assert path.read_bytes() == b"old" and names(tmp_path) == {"file"}

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file") as raised:
            write_atomically(tmp_path / "none" / "file", b"x")
        assert raised.value.filename == str(tmp_path / "none" / "file")
        assert not names(tmp_path)

    def test_a_folder_of_that_name(self, tmp_path: Path) -> None:
        (tmp_path / "file").mkdir()
        with pytest.raises(OSError):
            write_atomically(tmp_path / "file", b"x")
        assert names(tmp_path) == {"file"}


class TestMetrics:
    def test_are_strict_json(self, tmp_path: Path) -> None:
        metrics = {"a": 0.1, "b": math.nan, "c": math.inf, "d": -math.inf, "e": 3, "f": 1e-300}
        write_metrics(tmp_path, metrics)

        def refuse(constant: str) -> float:
            raise AssertionError(f"{constant} is no JSON")

        text = (tmp_path / "metrics.json").read_text()
        found = json.loads(text, parse_constant=refuse)
        assert found == {"a": 0.1, "b": None, "c": None, "d": None, "e": 3, "f": 1e-300}
        assert read_metrics(tmp_path) == found

    def test_keep_every_digit(self, tmp_path: Path) -> None:
        value = 0.1 + 0.2
        write_metrics(tmp_path, {"a": value})
        assert read_metrics(tmp_path) == {"a": value}

    def test_none_yet(self, tmp_path: Path) -> None:
        assert read_metrics(tmp_path) is None


class TestConfig:
    def test_there_and_back(self, tmp_path: Path) -> None:
        config = {"seed": 0, "a": {"b": [1, 2.5, None, "ü"], "c": True}, "path": "x: y"}
        write_run(tmp_path, {}, [])
        write_config(tmp_path, config)
        assert plain_config(tmp_path) == config
        assert list(yaml.safe_load((tmp_path / "config.yaml").read_text())) == list(config)
        assert is_run(tmp_path)

    def test_no_run(self, tmp_path: Path) -> None:
        for folder, says in ((tmp_path / "none", "no such run"), (tmp_path, "no run of this")):
            with pytest.raises(UserError, match=says) as raised:
                read_config(folder)
            assert str(raised.value).startswith(str(folder))
        assert not is_run(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [b"", b"a: [1", b"- 1\n- 2\n", b"\xff\xfe\x00", b"just words", b"a: !!python/x 1"],
    )
    def test_damaged(self, tmp_path: Path, content: bytes) -> None:
        write_run(tmp_path, {}, [])
        (tmp_path / "config.yaml").write_bytes(content)
        with pytest.raises(UserError, match="damaged") as raised:
            read_config(tmp_path)
        assert str(tmp_path / "config.yaml") in str(raised.value)

    def test_runs_nothing(self, tmp_path: Path) -> None:
        mark = tmp_path / "executed"
        text = f"a: !!python/object/apply:os.mkdir ['{mark}']\n"
        write_run(tmp_path, {}, [])
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(UserError, match="damaged"):
            read_config(tmp_path)
        assert not mark.exists()


class TestRun:
    def test_there_and_back(self, tmp_path: Path) -> None:
        write_run(tmp_path, {"model": "vae", "experiment": None}, ["seed=1"])
        record = read_run(tmp_path)
        assert record["choices"] == {"model": "vae", "experiment": None}
        assert record["overrides"] == ["seed=1"]
        assert {"python", "torch"} <= record["packages"].keys()
        assert (record["format"], record["version"]) == (FORMAT, __version__)
        assert "revision" in record


class TestHistory:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        history = History(tmp_path / "history.csv")
        fit(model(), data(images(20, 1, 4, 4), val_size=4), epochs=3, callbacks=[history])
        assert len(history.rows) == 3
        assert read_history(tmp_path) == history.rows

    def test_none_yet(self, tmp_path: Path) -> None:
        assert read_history(tmp_path) == []

    def test_empty_cells_are_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "history.csv").write_text("a,b\n1.0,\n2.0,0.5\n")
        assert read_history(tmp_path) == [{"a": 1.0}, {"a": 2.0, "b": 0.5}]
