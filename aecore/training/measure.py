"""What a trained model is worth: its metrics on some images, and its figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aecore.data.images.cache import cache_folder
from aecore.data.split import Split
from aecore.errors import NotApplicable
from aecore.evaluation.figures.draw import draw
from aecore.evaluation.figures.view import View
from aecore.evaluation.metrics.base import Subject
from aecore.evaluation.metrics.evaluate import evaluate, evaluate_noisy
from aecore.model.autoencoder import Autoencoder
from aecore.runs.folder import read_history
from aecore.training.machine import device_of
from aecore.training.setup import Experiment

log = logging.getLogger("aecore")
_FIGURE_IMAGES = 5000


@dataclass(frozen=True)
class Material:
    """The images that a model is tried on.

    name: what the names of its metrics begin with, `test` of the test split.
    images: those that it is measured on, and that its figures show.
    training: gives those that it was trained on; called only where a word looks at them.
    ood: images unlike those, by name.
    """

    name: str
    images: Split
    training: Callable[[], Split]
    ood: Mapping[str, Split]


def tested(parts: Experiment) -> Material:
    """The test split of a run, on which every training ends."""
    return Material("test", parts.data.test, lambda: parts.data.train, parts.strangers())


def measure(parts: Experiment, model: Autoencoder, material: Material) -> dict[str, float]:
    """All yardsticks; the model is put on its device and in evaluation mode.

    What a word of `evaluate.metrics` measures stands beside the yardsticks of every model.
    """
    name, images = material.name, material.images
    model.to(device_of(parts.settings)).eval()
    options = {"batch_size": parts.data.eval_batch_size, "seed": parts.settings.seed}
    metrics = evaluate(model, images, prefix=name, **options)
    if parts.test_noise.active:
        noise = parts.test_noise
        metrics |= evaluate_noisy(model, images, noise, prefix=f"{name}_noisy", **options)
    words = measure_words(parts, model, material)
    found = {f"{name}/{key}": value for key, value in words.items()}
    for key in sorted(found.keys() & metrics.keys()):
        log.warning("%s is a term of the loss, so another metric called so is left out", key)
    return metrics | {key: value for key, value in found.items() if key not in metrics}


@torch.no_grad()
def measure_words(parts: Experiment, model: Autoencoder, material: Material) -> dict[str, float]:
    """What the words of `evaluate.metrics` tell of a model on its device, in evaluation mode.

    A word that does not apply was asked for all the same, so that is warned of.
    """
    if not parts.metrics:
        return {}
    subject = Subject(
        model=model,
        test=material.images,
        training=material.training(),
        ood=material.ood,
        batch_size=parts.data.eval_batch_size,
        seed=parts.settings.seed,
        cache=cache_folder(parts.settings.dataset.get("cache_dir"), parts.data.data_dir),
    )
    found: dict[str, float] = {}
    for name, metric in parts.metrics.items():
        try:
            found |= metric(subject)
        except NotApplicable as reason:
            log.warning("evaluate.metrics.%s left out: %s", name, reason)
    return found


@torch.no_grad()
def draw_figures(
    parts: Experiment, model: Autoencoder, material: Material, run: Path | None, into: Path
) -> None:
    """The figures that the run names, in `into/figures`; the model is on its device.

    run: its folder, of which the curves are read; None where there is none.
    """
    view = view_of(parts, model, material, run)
    if any(picture.sees_training for picture in parts.figures.values()):
        view = replace(view, training=material.training())
    for name, reason in draw(parts.figures, view, into / "figures").items():
        log.info("figures.%s left out: %s", name, reason)


def view_of(parts: Experiment, model: Autoencoder, material: Material, run: Path | None) -> View:
    """What the figures of a run look at; the model is on its device.

    Without the training images, which a finished run can be looked at without reading.
    """
    shown = _first(material.images)
    noises = (parts.test_noise, parts.components.noise)
    device = model.shift.device
    return View(
        model=model,
        images=shown.pixels().to(device),
        labels=None if shown.labels is None else shown.labels.to(device),
        class_names=shown.class_names,
        history=[] if run is None else read_history(run),
        seed=parts.settings.seed,
        noise=next((noise for noise in noises if noise.active), None),
        ood={name: _first(x).pixels().to(device) for name, x in material.ood.items()},
        name=material.name,
    )


def _first(split: Split) -> Split:
    return split.subset(torch.arange(min(_FIGURE_IMAGES, len(split))))
