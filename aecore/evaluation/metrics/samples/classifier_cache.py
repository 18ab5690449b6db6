"""A cache of classifiers, so that one is not trained again for the next run."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import torch

from aecore.data.split import Split
from aecore.evaluation.metrics.samples import extractor
from aecore.evaluation.metrics.samples.extractor import Classifier, classifier, trained_classifier
from aecore.model import extractors
from aecore.runs.checkpoint import read_tensors
from aecore.runs.files import make_folder, write_atomically
from aecore.runs.format import is_current, stamp


def cached_classifier(
    split: Split, epochs: int, seed: int, device: torch.device, cache: Path | None
) -> Classifier:
    """`trained_classifier`, or the same bits from a file that an earlier call left in `cache`.

    The file is named by all that the weights depend on: images and labels, epochs and seed, what
    trains it and on what. A damaged one is written anew; where none can be written, none is.
    """
    if cache is None:
        return trained_classifier(split, epochs, seed, device)
    path = cache / f"classifier-{_key(split, epochs, seed, device)}.ckpt"
    model = _read(path, split)
    if model is None:
        model = trained_classifier(split, epochs, seed, device)
        _write(path, model)
    return model.to(device)


def _key(split: Split, epochs: int, seed: int, device: torch.device) -> str:
    """A hash of all that decides the weights to their last bit."""
    assert split.labels is not None, "a classifier learns labels"
    sources = (extractor.__file__, extractors.__file__)
    made_by = b"".join(Path(source).read_bytes() for source in sources)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    on = (name, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    how = (torch.__version__, torch.get_float32_matmul_precision(), epochs, seed)
    images = (len(split), split.image_shape, split.images.dtype)
    digest = hashlib.sha256(made_by + repr((on, how, images)).encode())
    for part in split.parts(split.part_size):
        digest.update(part.cpu().contiguous().numpy().data)
    digest.update(split.labels.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def _read(path: Path, split: Split) -> Classifier | None:
    """What a file holds, on the CPU; None where it is missing, damaged or of another format."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch does not look at the checksums
                return None
        with torch.device("meta"):  # no numbers are drawn
            model = classifier(split)
        content = read_tensors(path)
        if not is_current(content):
            return None
        model.load_state_dict(content["state_dict"], assign=True)
    except Exception:  # of what a file may hold, each thing fails in a way of its own
        return None
    return model.eval().requires_grad_(False)


def _write(path: Path, model: Classifier) -> None:
    """Keep the weights; a folder that cannot be written to costs only the next run's time."""
    buffer = io.BytesIO()
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    torch.save({**stamp(), "state_dict": state}, buffer)
    with suppress(OSError):
        make_folder(path.parent)
        write_atomically(path, buffer.getvalue())
