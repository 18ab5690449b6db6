"""Which images are of the classes that a run is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from aecore.config.component import NonNegativeInt
from aecore.data.split import Split, Which
from aecore.errors import ConfigError, Hint, nearest

Class = NonNegativeInt | str
Classes = Class | Annotated[list[Class], Field(min_length=1)]


def of_classes(split: Split, classes: Classes, which: Which) -> Tensor:
    """(N,) bool: which images of a split are of these classes, each a name or a label.

    A name comes first: where folders are called 10 and 2, 2 is the second one and not label 2.
    Raises ConfigError without labels, for a class that is none, and for one without images.
    """
    wanted = list(classes) if isinstance(classes, list) else [classes]
    if split.labels is None:
        raise _refused(wanted, f"the {which} images have no labels", {"dataset.classes": None})
    names = split.class_names
    there = set(split.labels.tolist())
    known = [str(label) for label in sorted(there)] if names is None else list(names)
    labels = []
    for one in wanted:
        label = _label(one, known, sorted(there) if names is None else range(len(names)))
        if label is None:
            hint = f"known: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}"
            raise _refused(wanted, f"no class {one!r}{nearest(str(one), known)}", hint)
        if label not in there:
            raise _refused(wanted, f"no image of the {which} split is of class {one!r}")
        labels.append(label)
    return torch.isin(split.labels, torch.tensor(labels))


def renumbered(split: Split, names: Sequence[str]) -> Split | None:
    """The split with its classes numbered as in other names; None where one is not among these."""
    class_names = split.class_names
    if split.labels is None or class_names is None or not set(class_names) <= set(names):
        return None
    number = torch.tensor([names.index(name) for name in class_names])
    return replace(split, labels=number[split.labels], class_names=tuple(names))


def count_classes(splits: Mapping[str, Split]) -> int:
    """How many classes the labels 0, 1, ... of all these splits, by name, can mean.

    Raises ConfigError where a split has no labels, or some that do not count classes from 0.
    """
    count = images = 0
    for name, split in splits.items():
        if split.labels is None:
            raise ConfigError(
                "conditional", True, f"the {name} images of this dataset have no labels",
                {"conditional": "false, or a dataset with labels"},
            )  # fmt: skip
        low, high = (int(end) for end in split.labels.aminmax())
        named = len(split.class_names or ())
        images += len(split)
        count = max(count, high + 1, named)
        if low < 0:
            problem = f"a {name} image has the label {low}"
            raise ConfigError("conditional", True, problem, "labels must be 0, 1, 2, ...")
    if count > images and not named:
        problem = f"the labels of {images} images go up to {count - 1}"
        raise ConfigError("conditional", True, problem, "number the classes 0, 1, 2, ...")
    return count


def _label(one: Class, names: Sequence[str], labels: Sequence[int]) -> int | None:
    """The label of a class, by its name or else its number; None where there is none."""
    if str(one) in names:
        return labels[names.index(str(one))]
    return one if isinstance(one, int) and one in labels else None


def _refused(wanted: Sequence[Class], problem: str, hint: Hint = None) -> ConfigError:
    return ConfigError("dataset.classes", wanted, problem, hint)
