"""A finished run as a model again: from its folder alone, and nothing in the folder is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from aecore.data.split import Source, Split, Which
from aecore.errors import UserError
from aecore.evaluation.figures.draw import for_figures
from aecore.evaluation.trial import Trial, equal_images
from aecore.model.autoencoder import Autoencoder
from aecore.runs import folder as results
from aecore.runs.checkpoint import BEST, LAST, load
from aecore.runs.record import read_record, restore
from aecore.runs.sampler_file import FILE, read
from aecore.training.machine import device_of
from aecore.training.setup import Experiment, build_experiment
from aecore.training.trial import make_trial


class Remembered(Source):
    """A source whose splits are read once, whoever asks."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._splits: dict[tuple[Which, Path], Split] = {}

    def load(self, split: Which, data_dir: Path) -> Split:
        """As the source does; raises what it raises."""
        if (split, data_dir) not in self._splits:
            self._splits[split, data_dir] = self.source.load(split, data_dir)
        return self._splits[split, data_dir]

    def whole(self, data_dir: Path) -> Split:
        """As the source does."""
        return self.source.whole(data_dir)


def open_run(
    folder: Path, sources: dict[str, Remembered] | None = None
) -> tuple[Experiment, Autoencoder]:
    """The words and the trained model of a run, on its device and in evaluation mode.

    The weights are those that the run was measured with (`evaluate.weights`).
    sources: the data sets of other runs, by their node, which this one may share; it adds its own.
    Raises UserError where the configuration, the data or the checkpoint are damaged or gone.
    """
    config = results.read_config(folder)
    parts = build_experiment(config)
    settings, data = parts.settings, parts.data
    if sources is not None:
        nodes = {**settings.evaluate.ood, "": settings.dataset}
        for name, module in {**parts.ood, "": data}.items():
            key = json.dumps(nodes[name], sort_keys=True, default=str)
            module.source = sources.setdefault(key, Remembered(module.source))
    last, best = (folder / "checkpoints" / name for name in (LAST, BEST))
    path = best if settings.evaluate.weights == "best" and best.exists() else last
    checkpoint = load(path)
    record = read_record(checkpoint, path)
    shape = None if record is None else record.image_shape
    model = restore(settings, checkpoint, shape or data.test.image_shape, path)
    if parts.components.sampler is not None:
        model.sampler = read(parts.components.sampler, folder / FILE, model)
    return parts, model.to(device_of(settings)).eval()


class Trials(Mapping[str, Trial]):
    """The trials of several runs, by name; a run is opened when first looked at.

    Equal test images are held once. After a run that cannot be opened none is tried again.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._opened: dict[str, Trial] = {}
        self._sources: dict[str, Remembered] = {}
        self._images: list[Split] = []
        self._failure: UserError | None = None

    def __getitem__(self, name: str) -> Trial:
        """The trial of a run; UserError where one cannot be opened, KeyError for another name."""
        folder = self._folders[name]
        if self._failure is not None:
            raise self._failure
        if name not in self._opened:
            try:
                parts, model = open_run(folder, self._sources)
                trial = for_figures(make_trial(parts, model, results.read_history(folder)))
                ood = {kind: self._once(images) for kind, images in trial.ood.items()}
                self._opened[name] = replace(trial, images=self._once(trial.images), ood=ood)
            except Exception as error:  # whatever was done to the folder
                told = (str(error).splitlines() or [type(error).__name__])[0]
                self._failure = UserError(f"{name} cannot be opened ({told})")
                raise self._failure from error
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    def _once(self, images: Split) -> Split:
        """These images, or equal ones of another run."""
        for known in self._images:
            if equal_images(known, images):
                return known
        self._images.append(images)
        return images
