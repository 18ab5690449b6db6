"""A trained run, and what someone with bad intentions might make of it."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import yaml

import aecore
from helpers.models import images

MEGABYTE = 1e6
LAST = Path("checkpoints", "last.ckpt")
SAMPLER = Path("checkpoints", "sampler.ckpt")


def trained(folder: Path, *words: str) -> Path:
    """A run folder of a tiny model of (1, 4, 4) images."""
    tiny = ["model=vae", "latent.dim=2", "network.hidden=[4]", *words]
    aecore.fit(tiny, images(20, 1, 4, 4), epochs=1, folder=folder)
    return folder


def configured(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Changes the configuration of a run."""

    def tamper(run: Path) -> None:
        config = yaml.safe_load((run / "config.yaml").read_text())
        change(config)
        (run / "config.yaml").write_text(yaml.safe_dump(config))

    return tamper


def saying(slot: str, target: str, **arguments: Any) -> Callable[[Path], None]:
    """Puts another word into a slot."""
    return configured(lambda config: config.update({slot: {"_target_": target, **arguments}}))


def valued(slot: str, key: str, value: Any) -> Callable[[Path], None]:
    """Changes a value of a word."""
    return configured(lambda config: config[slot].update({key: value}))


def written(name: str | Path, content: str | bytes) -> Callable[[Path], None]:
    """Puts something else in the place of a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda run: (run / name).write_bytes(data) and None


def recorded(**changes: Any) -> Callable[[Path], None]:
    """Changes run.json."""

    def tamper(run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | changes))

    return tamper


def saved(change: Callable[[dict[str, Any]], Any], name: Path = LAST) -> Callable[[Path], None]:
    """Changes what a checkpoint holds."""

    def tamper(run: Path) -> None:
        checkpoint = torch.load(run / name, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, run / name)

    return tamper


def pickled(old: bytes, new: bytes) -> Callable[[Path], None]:
    """Changes the pickle within a checkpoint."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return data
        assert old in data
        return data.replace(old, new, 1)

    return repacked(change)


def repacked(
    change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED
) -> Callable[[Path], None]:
    """Changes the files within a checkpoint."""

    def tamper(run: Path) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(run / LAST) as old, zipfile.ZipFile(packed, "w", compression) as new:
            for name in old.namelist():
                new.writestr(name, change(name, old.read(name)))
        (run / LAST).write_bytes(packed.getvalue())

    return tamper


def cut(share: float, name: Path = LAST) -> Callable[[Path], None]:
    """Ends a file too early."""

    def tamper(run: Path) -> None:
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: int(share * len(data))])

    return tamper


def copied(run: Path, to: Path, *tampers: Callable[[Path], None]) -> Path:
    """Another run folder, tampered with."""
    shutil.copytree(run, to)
    for tamper in tampers:
        tamper(to)
    return to


@contextmanager
def sparing(megabytes: float) -> Iterator[None]:
    """Asserts that no more memory is taken on the way, where the system tells."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is held
    before = _peak()
    yield
    assert _peak() - before < megabytes * MEGABYTE


def _peak() -> float:
    """The most memory that this process has held, in bytes."""
    try:
        told = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    except (OSError, IndexError):
        return 0.0
    return int(told) * 1024
