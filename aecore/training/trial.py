"""The trial of an experiment: its trained model with its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aecore.data.images.cache import cache_folder
from aecore.data.split import Split
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.training.machine import device_of
from aecore.training.setup import Experiment


def make_trial(
    experiment: Experiment,
    model: Autoencoder,
    *,
    images: Split | None = None,
    name: str = "test",
    ood: Mapping[str, Split] | None = None,
    history: Sequence[Mapping[str, float]] = (),
    read_training: Callable[[], Split] | None = None,
) -> Trial:
    """A trial with the options of an experiment.

    Puts the model on its device and in evaluation mode. Pixels are scaled to [0, 1] where those of
    the training lie outside.

    images: with their name; None for the test images, on which every training ends.
    ood: None for those of the experiment. read_training: None for its training images.
    """
    config, data = experiment.config, experiment.data
    noises = (experiment.test_noise, experiment.components.noise)
    return Trial(
        model=model.to(device_of(config)).eval(),
        images=data.test if images is None else images,
        name=name,
        seed=config.seed,
        batch_size=data.eval_batch_size,
        read_training=read_training or (lambda: data.train),
        ood=experiment.ood_images() if ood is None else ood,
        noise=next((noise for noise in noises if noise.active), None),
        history=history,
        cache=cache_folder(config.dataset.get("cache_dir"), data.data_dir),
    ).in_unit_range()
