"""Reading checkpoints: tensors and plain values, sizes known before memory is taken."""

from __future__ import annotations

import hashlib
import json
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aecore.config.folders import installing, is_installed
from aecore.config.schema import Config
from aecore.errors import UserError
from aecore.runs.format import is_current
from aecore.runs.validation import printable

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
PREFIX = "autoencoder."  # of the model's weights among the training module's
RECORD = "aecore"  # the key of the record of the model, see `aecore.runs.record`
EXPORTED = "model.safetensors"  # of `task=export`: weights, and the record in the header
CHECKSUM = "sha256"  # the key of the checksum in that header
SAMPLER = "sampler"  # the key of the tensors of a fitted sampler, in an export
SAMPLER_PREFIX = "sampler/"  # of their names in the file
_PARTS = {"state_dict": dict, "step": int, "epoch": int}
_PICKLE = "data.pkl"
_NUMBERS = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_KNOWN = {  # all that a pickle of plain values and tensors names
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in _NUMBERS),
}


def evaluated(folder: Path, config: Config) -> Path:
    """The checkpoint that the run in a folder is evaluated with (`evaluate.weights`).

    There is no best one without validation images; then it is the last one.
    """
    best = folder / "checkpoints" / BEST
    return best if evaluates_best(config) and best.exists() else best.with_name(LAST)


def evaluates_best(config: Config) -> bool:
    """Whether the best checkpoint is evaluated: on request, and by default after early stopping."""
    weights = config.evaluate.weights
    return weights == "best" or (
        weights == "auto" and config.trainer.early_stopping.patience is not None
    )


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU; UserError for a missing, truncated or foreign file.

    Nothing in it is executed, and it takes no more memory than its file is large.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    exported = path.suffix == Path(EXPORTED).suffix
    if exported and not is_installed("safetensors"):
        raise UserError(f"{path}: reading it needs safetensors", installing("export"))
    try:
        checkpoint: dict[str, Any] = read_exported(path) if exported else read_tensors(path)
        if not all(isinstance(checkpoint.get(k), kind) for k, kind in _PARTS.items()):
            raise ValueError("no checkpoint of this project")
        weights(checkpoint)
    except Exception as error:  # torch raises many kinds on damaged files
        raise UserError(
            f"{path}: truncated, damaged or foreign checkpoint ({type(error).__name__})",
            "it was not used; give another run or train again",
        ) from error
    return checkpoint


def read_tensors(path: Path) -> dict[str, Any]:
    """A dictionary of tensors and plain values that torch saved; raises what torch raises.

    ValueError for one whose content has another checksum, and for one that would take more memory
    than its file is large: a compressed archive, anything but tensors and plain values, tensors
    that are views of less than they show.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("a compressed archive")
        (pickled,) = (entry for entry in entries if entry.filename.endswith(_PICKLE))
        operations = pickletools.genops(archive.read(pickled))
        named = {str(argument) for op, argument, _ in operations if op.name == "GLOBAL"}
        if (damaged := archive.testzip()) is not None:  # torch does not compare the checksums
            raise ValueError(f"{damaged} has another checksum")
    if unknown := named - _KNOWN:  # even of what torch would make, such as a bytearray of any size
        raise ValueError(f"it holds {', '.join(sorted(unknown))}")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise ValueError("no dictionary")
    if sum(tensor.numel() * tensor.element_size() for tensor in _tensors(content)) > size:
        raise ValueError("tensors larger than what it holds")
    return content


def read_exported(path: Path) -> dict[str, Any]:
    """A checkpoint of what `task=export` wrote as safetensors; raises what safetensors raises.

    The header holds the record and a checksum. KeyError or ValueError where it does not, and where
    record or tensors have another checksum.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        header = file.metadata() or {}
        values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    record = json.loads(header[RECORD])
    current = isinstance(record, dict) and is_current(record)  # others are refused by their format
    if current and header.get(CHECKSUM) != checksum(header[RECORD], values):
        raise ValueError("another checksum")
    prefix = SAMPLER_PREFIX
    sampler = {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
    state = {name: value for name, value in values.items() if not name.startswith(prefix)}
    content = {"state_dict": state, "step": 0, "epoch": 0, RECORD: record}
    return {**content, SAMPLER: sampler} if sampler else content


def checksum(record: str, tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a record and of tensors on the CPU with their names, types and shapes."""
    digest = hashlib.sha256(record.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in what torch has read, each container once."""
    seen, todo = set(), [value]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, Mapping):
            todo.extend(one.values())
        elif isinstance(one, list | tuple):
            todo.extend(one)


def weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The model's weights, by the names that the model gives them.

    Raises ValueError where there is something else among them.
    """
    state: dict[str, Tensor] = {}
    for name, value in checkpoint["state_dict"].items():
        if not (isinstance(name, str) and type(value) is Tensor):
            raise ValueError("weights that are no tensors")
        state[name.removeprefix(PREFIX)] = value
    return state


def check_weights(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Raise UserError where weights are not those of a model with the expected ones.

    Only names and shapes are compared, so the model may be on the meta device.
    """
    for name in sorted(expected.keys() | state.keys()):
        here, there = expected.get(name), state.get(name)
        if here is None or there is None or here.shape != there.shape:
            shapes = [None if t is None else tuple(t.shape) for t in (there, here)]
            raise UserError(
                f"{path}: weights of another model "
                f"({printable(name)}: {shapes[0]} there, {shapes[1]} here)",
                "give the same network, latent and data shape as that run",
            )


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint into the model.

    Raises UserError where the file is damaged or the weights are another model's.
    """
    state = weights(load(path))
    check_weights(model.state_dict(), state, path)
    model.load_state_dict(state)
