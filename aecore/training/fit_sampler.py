"""The sampler of a run: fitted to the trained model, and saved in the run folder."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor

from aecore.config.schema import Config
from aecore.data.module import ImageData
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.conditioning import need_labels
from aecore.model.samplers.base import CodeSampler, Fitted, IndexSampler, Sampler
from aecore.model.samplers.classes import ByClass, fit_by_class
from aecore.runs.sampler_file import FILE, save_sampler
from aecore.training.machine import device_of
from aecore.training.setup import Experiment

log = logging.getLogger("aecore")


def add_sampler(experiment: Experiment, model: Autoencoder, folder: Path) -> None:
    """Fit the sampler of the experiment, if any, to the trained model, and save it in the folder.

    Leaves the model on its device and in evaluation mode.
    """
    sampler = experiment.components.sampler
    if sampler is not None:
        model.sampler = fit_sampler(sampler, experiment.data, experiment.config, model)
        save_sampler(model.sampler, folder / FILE)


def fit_sampler(sampler: Sampler, data: ImageData, config: Config, model: Autoencoder) -> Fitted:
    """Fit a sampler to the codes of training images, or to their indices.

    Leaves the model on its device and in evaluation mode.
    """
    seed = config.seed
    trial = Trial(
        model.to(device_of(config)).eval(), data.train, seed=seed, batch_size=data.eval_batch_size
    ).at_most(sampler.images)
    labels = None if model.classes is None else need_labels(trial.images.labels)
    if isinstance(sampler, IndexSampler):
        size = model.latent.codebook_size
        assert size is not None, "`IndexSampler.check` refuses such latents"
        return sampler.fit(trial.indices(), size, seed, labels, model.classes)
    assert isinstance(sampler, CodeSampler)
    with torch.no_grad():
        codes = trial.codes().float()
    if labels is None or model.classes is None:
        return sampler.fit(codes, seed)
    return _fit_classes(sampler, codes, labels, model.classes, seed)


def _fit_classes(
    sampler: CodeSampler, codes: Tensor, labels: Tensor, classes: int, seed: int
) -> ByClass:
    fitted = fit_by_class(sampler, codes, labels, classes, seed)
    few = [str(k) for k in torch.unique(labels).tolist() if k not in fitted.by_label]
    if few:
        log.warning(
            "sampler=%s: too few codes of class %s for a distribution of its own, so it has "
            "that of all classes",
            sampler.name, ", ".join(few),
        )  # fmt: skip
    return fitted
