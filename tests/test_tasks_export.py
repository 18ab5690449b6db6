"""A trained model as files for other programs: each must do what the model does."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from making import conv, images, mlp, model
from onnxruntime import InferenceSession
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import aecore
from aecore.autoencoder import Autoencoder
from aecore.cli import main
from aecore.errors import UserError
from aecore.exporting.export import Exported, export
from aecore.latents import VQ
from aecore.networks import MLP, ConvUnpool
from aecore.record import Record

RUN = ["model=cvae", "network.hidden=[12]", "latent.dim=3", "sampler=gaussian", "logger=none",
       "figures=none", "trainer.max_epochs=1", "trainer.threads=1", "hydra.run.dir=run"]  # fmt: skip
PARTS = ("encoder", "decoder", "autoencoder")
PROGRAMS = [f"{part}.{kind}" for part in PARTS for kind in ("onnx", "pt2")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional VAE with a sampler, trained and exported by the command line."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(RUN) == 0
    return folder


@pytest.fixture(scope="module")
def said(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `task=export` prints, on both streams."""
    capture = pytest.MonkeyPatch()
    lines: list[str] = []
    for stream in (sys.stdout, sys.stderr):
        capture.setattr(stream, "write", lambda text: lines.append(text) or len(text))
    capture.chdir(trained)
    try:
        assert main(["run=run", "task=export", "out=out"]) == 0
    finally:
        capture.undo()
    return "".join(lines)
