"""The views of finished runs, for figures that compare them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from aecore.data.split import Source, Split, Which
from aecore.errors import UserError
from aecore.evaluation.figures.view import View
from aecore.runs.open import open_run
from aecore.training.machine import device_of
from aecore.training.measure import tested, view_of
from aecore.training.setup import build_experiment


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


class Views(Mapping[str, View]):
    """What the figures of several runs look at, by name; a run is opened when first looked at.

    Equal test images are held once. After a run that cannot be opened none is tried again.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._opened: dict[str, View] = {}
        self._sources: dict[str, Remembered] = {}
        self._images: list[Tensor] = []
        self._failure: UserError | None = None

    def __getitem__(self, name: str) -> View:
        """The view of a run; UserError where one cannot be opened, KeyError for an unknown name."""
        folder = self._folders[name]
        if self._failure is not None:
            raise self._failure
        if name not in self._opened:
            try:
                view = self._view(folder)
                ood = {kind: self._once(images) for kind, images in view.ood.items()}
                self._opened[name] = replace(view, images=self._once(view.images), ood=ood)
            except Exception as error:  # whatever was done to the folder
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                self._failure = UserError(f"{name} cannot be opened ({reason})")
                raise self._failure from error
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    def _view(self, folder: Path) -> View:
        """What the run in a folder was evaluated on, and its model on its device."""
        run = open_run(folder)
        experiment = build_experiment(run.config.model_dump())
        nodes = {**run.config.evaluate.ood, "": run.config.dataset}
        for name, module in {**experiment.ood, "": experiment.data}.items():
            key = json.dumps(nodes[name], sort_keys=True, default=str)
            module.source = self._sources.setdefault(key, Remembered(module.source))
        model = run.model().to(device_of(run.config))
        return view_of(experiment, model, tested(experiment), folder)

    def _once(self, images: Tensor) -> Tensor:
        """These images, or equal ones that another run looks at."""
        for known in self._images:
            if known.device == images.device and torch.equal(known, images):
                return known
        self._images.append(images)
        return images
