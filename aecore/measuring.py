"""What a trained model is worth: its metrics on the test split, and its figures."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from aecore import results
from aecore.autoencoder import Autoencoder
from aecore.callbacks.history import timing
from aecore.collapse import warn_if_collapsed
from aecore.data import Split
from aecore.errors import NotApplicable
from aecore.experiment import Words
from aecore.figures import View, draw
from aecore.fitting import device_of
from aecore.metrics import Subject, evaluate, evaluate_noisy

log = logging.getLogger("aecore")
_FIGURE_IMAGES = 5000


def measure(parts: Words, model: Autoencoder, folder: Path) -> dict[str, float]:
    """Metrics on the test split and the figures; the model on its device and in evaluation mode.

    What a word of `evaluate.metrics` measures stands beside the yardsticks of every model.
    """
    settings, test = parts.settings, parts.data.test
    model.to(device_of(settings)).eval()
    options = {"batch_size": parts.data.eval_batch_size, "seed": settings.seed}
    metrics = evaluate(model, test, prefix="test", **options)
    if parts.test_noise.active:
        metrics |= evaluate_noisy(model, test, parts.test_noise, prefix="test_noisy", **options)
    metrics |= {f"test/{name}": value for name, value in measure_words(parts, model).items()}
    warn_if_collapsed(model, test)
    view = replace(view_of(parts, model, folder), training=parts.data.train)
    with torch.no_grad():
        for name, reason in draw(parts.figures, view, folder / "figures").items():
            log.info("figures.%s left out: %s", name, reason)
    return metrics | timing(view.history)


@torch.no_grad()
def measure_words(parts: Words, model: Autoencoder) -> dict[str, float]:
    """What the words of `evaluate.metrics` tell of a model on its device, in evaluation mode.

    A word that does not apply was asked for all the same, so that is warned of.
    """
    subject = Subject(
        model=model,
        test=parts.data.test,
        training=parts.data.train,
        ood=parts.strangers(),
        batch_size=parts.data.eval_batch_size,
        seed=parts.settings.seed,
    )
    found: dict[str, float] = {}
    for name, metric in parts.metrics.items():
        try:
            found |= metric(subject)
        except NotApplicable as reason:
            log.warning("evaluate.metrics.%s left out: %s", name, reason)
    return found


def view_of(parts: Words, model: Autoencoder, folder: Path) -> View:
    """What the figures of the run in `folder` look at; the model is on its device.

    Without the training images, which a finished run can be looked at without reading.
    """
    shown = _first(parts.data.test)
    device = model.shift.device
    return View(
        model=model,
        images=shown.pixels().to(device),
        labels=None if shown.labels is None else shown.labels.to(device),
        class_names=shown.class_names,
        history=results.read_history(folder),
        seed=parts.settings.seed,
        noise=next((noise for noise in (parts.test_noise, parts.noise) if noise.active), None),
        ood={name: _first(x).pixels().to(device) for name, x in parts.strangers().items()},
    )


def _first(split: Split) -> Split:
    return split.subset(torch.arange(min(_FIGURE_IMAGES, len(split))))
