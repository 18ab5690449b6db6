"""The trials of finished runs, for figures that compare them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from aecore.data.reading import reading_only
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError
from aecore.evaluation.figures.draw import for_figures
from aecore.evaluation.trial import Trial, equal_images
from aecore.runs.open import open_run
from aecore.training.setup import build_experiment
from aecore.training.trial import make_trial


class Remembered(Source):
    """A source that reads each split once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._splits: dict[tuple[Which, Path], Split] = {}

    def load(self, split: Which, data_dir: Path) -> Split:
        """Load as the source does, with the same errors."""
        if (split, data_dir) not in self._splits:
            self._splits[split, data_dir] = self.source.load(split, data_dir)
        return self._splits[split, data_dir]

    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        """As the source does."""
        return self.source.whole(data_dir)


class Trials(Mapping[str, Trial]):
    """The trials of several runs, by name, opened when one is first looked at.

    Equal test images are held once. Where a run cannot be opened, all are refused.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._sources: dict[str, Remembered] = {}
        self._images: list[Split] = []

    def __getitem__(self, name: str) -> Trial:
        """The trial of a run; UserError where one cannot be opened, KeyError for another name."""
        if isinstance(self._opened, UserError):
            raise self._opened
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    @cached_property
    def _opened(self) -> dict[str, Trial] | UserError:
        opened = {}
        for name, folder in self._folders.items():
            try:
                with reading_only():  # a run from elsewhere names its data folder itself
                    opened[name] = self._trial(folder)
            except Exception as error:  # whatever was done to the folder
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                return UserError(f"{name} cannot be opened ({reason})")
        return opened

    def _trial(self, folder: Path) -> Trial:
        """The trial of the run in a folder, with as many images as figures look at."""
        run = open_run(folder)
        experiment = build_experiment(run.config.model_dump())
        nodes = {**run.config.evaluate.ood, "": run.config.dataset}
        for name, module in {**experiment.ood, "": experiment.data}.items():
            key = json.dumps(nodes[name], sort_keys=True, default=str)
            module.source = self._sources.setdefault(key, Remembered(module.source))
        trial = for_figures(make_trial(experiment, run.model(), history=run.history))
        ood = {kind: self._once(images) for kind, images in trial.ood.items()}
        return replace(trial, images=self._once(trial.images), ood=ood)

    def _once(self, images: Split) -> Split:
        """These images, or equal ones of another run."""
        for known in self._images:
            if equal_images(known, images):
                return known
        self._images.append(images)
        return images
