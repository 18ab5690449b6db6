"""Damage and bombs are noticed before anything is made of them."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import aecore
from aecore.cli import main
from aecore.data.sources.arrays import Arrays
from aecore.errors import UserError
from aecore.runs.checkpoint import LAST, load
from helpers.checkpoints import checkpointed, leaves
from helpers.sources import message
from helpers.training_loop import noisy_vae

TINY = [
    "model=vae", "dataset=digits", "network.hidden=[4]", "latent.dim=2", "trainer.max_epochs=1",
    "figures=none", "hydra.run.dir=run",
]  # fmt: skip


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def same(a: Any, b: Any) -> bool:
    one, other = leaves(a), leaves(b)
    return one.keys() == other.keys() and all(
        torch.equal(x, other[k]) if isinstance(x, torch.Tensor) else x == other[k]
        for k, x in one.items()
    )


def test_a_flipped_bit_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    """Anywhere in the file: it is refused, or nothing that is read has changed."""
    checkpointed(noisy_vae(), tmp_path, 1)
    path = tmp_path / LAST
    whole, expected = path.read_bytes(), load(path)
    bits = np.random.default_rng(0).integers(0, 8 * len(whole), 300)
    refused = 0
    for bit in bits.tolist():
        path.write_bytes(flipped(whole, bit))
        try:
            assert same(load(path), expected)
        except UserError:
            refused += 1
    assert refused > 100, "most of the file is content"


def test_a_resume_takes_the_checkpoint_before_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "trainer.max_epochs=3"]) == 0
    expected = json.loads(Path("run/metrics.json").read_text())
    Path("run/metrics.json").unlink()
    last = Path("run/checkpoints") / LAST
    content = last.read_bytes()
    with zipfile.ZipFile(last) as archive:
        weights = max(archive.infolist(), key=lambda entry: entry.file_size)
    last.write_bytes(flipped(content, 8 * (weights.header_offset + 200)))
    assert main(["resume=run"]) == 0
    assert "previous.ckpt" in capsys.readouterr().out
    found = json.loads(Path("run/metrics.json").read_text())
    assert {k: v for k, v in found.items() if not k.startswith("train/")} == {
        k: v for k, v in expected.items() if not k.startswith("train/")
    }


def test_a_flipped_bit_of_an_export_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    assert main(TINY) == 0
    assert main(["run=run", "task=export", "export.formats=[safetensors]", "out=made"]) == 0
    path = Path("made/model.safetensors")
    whole = path.read_bytes()
    aecore.load("made")
    size = int.from_bytes(whole[:8], "little")
    for bit in np.random.default_rng(0).integers(8 * (8 + size), 8 * len(whole), 40).tolist():
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(UserError, match="damaged"):
            aecore.load("made")


def test_an_archive_that_expands_beyond_the_memory_is_refused(tmp_path: Path) -> None:
    """A small file that claims to hold terabytes, as compressed zeros could."""
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((100, 8, 8), np.uint8))
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo("x.npy").file_size = 2**41
        archive.writestr("notes", "so that the directory is written again")
    text = message(Arrays(path=str(path), test_fraction=0.2), "train")
    assert "its arrays need 4,096.0 GiB" in text


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    """Opening one waits for a writer, for ever."""
    from aecore.data.sources.image_folder import ImageFolder

    Image.new("L", (8, 8), 200).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    source = ImageFolder(
        root=str(tmp_path), image_size=8, channels="auto", skip_broken=False, test_fraction=0.0
    )
    text = message(source, "train")
    assert "b.png" in text and "is not a regular file" in text
