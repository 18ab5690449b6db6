"""Reading an offline folder of Weights & Biases, and a network in which every call is noticed."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK, _HEADER = 32768, 7
_FULL, _LAST = 1, 4


@dataclass
class Offline:
    """What a file `run-ID.wandb` holds."""

    id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    def points(self, key: str) -> list[tuple[int, Any]]:
        """Step and value of each time that a metric was logged."""
        return [(row["_step"], row[key]) for row in self.history if key in row]


def read(folder: Path) -> Offline:
    """The one run in an offline folder."""
    from wandb.proto import wandb_internal_pb2  # of the extra wandb

    (file,) = folder.glob("run-*.wandb")
    found = Offline()
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.id = record.run.run_id
            found.config |= _items(record.run.config.update)
        elif kind == "config":
            found.config |= _items(record.config.update)
        elif kind == "history":
            found.history.append(_items(record.history.item))
        elif kind == "summary":
            found.summary |= _items(record.summary.update)
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(data: bytes) -> Iterator[bytes]:
    """The records of LevelDB's log format, whose blocks have 32 KB; the first 7 bytes are W&B's."""
    at, parts = _HEADER, b""
    while at + _HEADER <= len(data):
        if _BLOCK - at % _BLOCK < _HEADER:  # what is left of a block holds no header
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += _HEADER
        parts += data[at : at + length]
        at += length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""


@contextmanager
def watched_network() -> Iterator[tuple[dict[str, str], socket.socket]]:
    """An environment whose every call to the web goes to a socket here, and that socket.

    The environment does not look like that of a test, in which some libraries behave better.
    """
    tests = ("PYTEST", "CI", "GITHUB", "GITLAB", "MLFLOW", "WANDB", "DO_NOT_TRACK")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(tests)}
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        yield {**kept, **dict.fromkeys(names, proxy), "no_proxy": "", "NO_PROXY": ""}, server


def called_out(server: socket.socket) -> bool:
    """Whether anyone has called that socket."""
    try:
        server.accept()
    except BlockingIOError:
        return False
    return True
