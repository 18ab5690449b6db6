"""What a trained model is worth: its metrics on the test split, and its figures."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from aecore import results
from aecore.autoencoder import Autoencoder
from aecore.callbacks.history import timing
from aecore.experiment import Words
from aecore.figures import View, draw
from aecore.fitting import device_of
from aecore.metrics import evaluate, evaluate_noisy

log = logging.getLogger("aecore")
_FIGURE_IMAGES = 5000


def measure(parts: Words, model: Autoencoder, folder: Path) -> dict[str, float]:
    """Metrics on the test split and the figures; the model on its device and in evaluation mode."""
    settings, test = parts.settings, parts.data.test
    model.to(device_of(settings)).eval()
    options = {"batch_size": parts.data.eval_batch_size, "seed": settings.seed}
    metrics = evaluate(model, test, prefix="test", **options)
    if parts.test_noise.active:
        metrics |= evaluate_noisy(model, test, parts.test_noise, prefix="test_noisy", **options)
    view = view_of(parts, model, folder)
    with torch.no_grad():
        for name, reason in draw(parts.figures, view, folder / "figures").items():
            log.info("figures.%s left out: %s", name, reason)
    return metrics | timing(view.history)


def view_of(parts: Words, model: Autoencoder, folder: Path) -> View:
    """What the figures of the run in `folder` look at; the model is on its device."""
    test = parts.data.test
    shown = test.subset(torch.arange(min(_FIGURE_IMAGES, len(test))))
    return View(
        model=model,
        images=shown.pixels().to(model.shift.device),
        labels=shown.labels,
        class_names=shown.class_names,
        history=results.read_history(folder),
        seed=parts.settings.seed,
    )
