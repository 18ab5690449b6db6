"""Any folder of images."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveInt, Probability, component
from aecore.data.images.cache import cache_folder, decoded
from aecore.data.images.decode import Decoded, Recipe, all_grey, file_shape
from aecore.data.images.files import EXTENSIONS, Files, images_under, is_data, shown
from aecore.data.images.memory import InMemory
from aecore.data.split import Source, Split, Which, fixed_part
from aecore.errors import ConfigError
from aecore.types import ImageShape

log = logging.getLogger("aecore")
_ROOT = "dataset.root"

ImageSize = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


def height_width(size: int | list[int]) -> tuple[int, int]:
    """(H, W) of an image size that may be one number for a square."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


@final
class ImageFolder(Source):
    """The images under a folder, at any depth, decoded once to uint8 (C, H, W).

    Splits: where the root has both `train/` and `test/`, these are the splits and anything else
    (`val/` too: validation images are drawn from train) is left out with a warning; else
    `test_fraction` of the images is the test split, by a fixed permutation of the sorted paths.
    Labels: where all images lie in subfolders (of the root, or of train/ and test/), the first
    folder below is the class; else there are none.
    Pixels: the shorter side is resized to fit and the centre cut out, antialiased; 16 bits become
    8, on white background, EXIF rotation is applied, of an animation the first frame counts.
    """

    @component
    def __init__(
        self,
        *,
        root: str | None,
        image_size: ImageSize,
        channels: Literal["auto", 1, 3],
        skip_broken: bool,
        test_fraction: Probability,
        in_memory: InMemory = "auto",
        cache_dir: str | None = None,
    ) -> None:
        """root: the folder; None is refused by `load`. image_size: a side, or [H, W].

        channels: 1 grey, 3 RGB, "auto" grey where every file is.
        skip_broken: leave out what cannot be decoded (with a warning) instead of refusing it all.
        in_memory: false keeps the decoded images in a file that is mapped into memory; "auto" does
        so where they would take over a quarter of the memory at hand. The numbers are the same.
        cache_dir: folder of such files; None for `cache/` in the data folder.
        """
        self.root = root
        self.size = height_width(image_size)
        self.channels = channels
        self.skip_broken = skip_broken
        self.test_fraction = test_fraction
        self.in_memory = in_memory
        self.cache_dir = cache_dir

    def load(self, split: Which, data_dir: Path) -> Split:
        """Decode one split, or read what an earlier load left in the cache."""
        return self._read(split, data_dir)

    def whole(self, data_dir: Path) -> Split:
        """Every image, by its path; where train/ and test/ are the splits, one after the other."""
        if _is_parted(self._folder()):
            return super().whole(data_dir)
        return self._read("all", data_dir)

    @override
    def test_places(self, whole: Split, data_dir: Path) -> Tensor:
        root = self._folder()
        if _is_parted(root):
            return super().test_places(whole, data_dir)
        names = images_under(root).names
        own = {shown(names[i]) for i in fixed_part(len(names), self.test_fraction, "test").tolist()}
        places = [n for n, name in enumerate(whole.names or ()) if name in own]
        return torch.tensor(places, dtype=torch.int64)

    def shape_mismatch(self, shape: ImageShape) -> str | None:
        """The first file that is not of that size, or not grey where the model wants grey."""
        for path in images_under(self._folder()):
            found = file_shape(path)
            if found is not None and found != shape:
                kind = "grey" if found[0] == 1 else "colour"
                return f"{shown(path)} is {kind}, {found[1]} high and {found[2]} wide"
        return None

    def _read(self, split: Which | Literal["all"], data_dir: Path) -> Split:
        root = self._folder()
        given = _is_parted(root)
        parts = [root / "train", root / "test"] if given else [root]
        found = {part: images_under(part) for part in parts}
        total = sum(map(len, found.values()))
        if given:
            files = found[root / split]
            self._warn_of_left_out(root, split)
        elif split == "all":
            files = found[root]
        else:
            files = found[root].at(fixed_part(total, self.test_fraction, split).tolist())
        if not len(files):
            raise self._nothing(root, split, total, given)
        channels = self.channels
        if channels == "auto":
            channels = 1 if all_grey(chain.from_iterable(found.values())) else 3
        part = (
            split if given or split == "all" else f"{split} of test_fraction={self.test_fraction}"
        )
        cache = cache_folder(self.cache_dir, data_dir)
        recipe = Recipe(self.size, channels)
        images = self._checked(files, decoded(files, part, recipe, self.in_memory, cache))
        names = [files.names[i] for i in images.kept.tolist()]
        # Of every image of the data set, so both splits number classes alike.
        classes = _classes(name for part in found.values() for name in part.names)
        labels = None
        if classes is not None:
            number = {name: i for i, name in enumerate(classes)}
            labels = torch.tensor([number[_top(name)] for name in names], dtype=torch.int64)
        return Split(
            images=images.images,
            labels=labels,
            names=tuple(shown(name) for name in names),
            class_names=None if classes is None else tuple(map(shown, classes)),
            rows=images.rows,
        )

    def _folder(self) -> Path:
        if self.root is None:
            problem = "which folder of images is to be read?"
            raise ConfigError(_ROOT, None, problem, {_ROOT: "/a/folder"})
        root = Path(self.root).expanduser().absolute()
        if not root.exists():
            raise ConfigError(_ROOT, shown(root), "there is no such folder")
        if not root.is_dir():
            hint = "for .npz or .npy files: dataset=arrays dataset.path=..."
            raise ConfigError(_ROOT, shown(root), "is a file; it must be a folder of images", hint)
        return root

    def _nothing(self, root: Path, split: str, total: int, given: bool) -> ConfigError:
        if total == 0 or given:
            where = shown(root / split if given else root)
            hint = f"looked for {' '.join(sorted(EXTENSIONS))} at any depth"
            return ConfigError(_ROOT, shown(root), f"no images under {where}", hint)
        return ConfigError(
            "dataset.test_fraction", self.test_fraction,
            f"none of the {total} images of {shown(root)} is left for the {split} split",
        )  # fmt: skip

    def _warn_of_left_out(self, root: Path, split: str) -> None:
        others = sorted(
            entry.name
            for entry in root.iterdir()
            if entry.is_dir() and entry.name not in {"train", "test"} and is_data(entry.name)
        )
        if others and split == "train":
            log.warning(
                "dataset.root=%s: only train/ and test/ are used, not %s",
                shown(root),
                ", ".join(f"{shown(name)}/" for name in others),
            )

    def _checked(self, files: Files, images: Decoded) -> Decoded:
        """Refuse broken files, or warn of them where they are left out."""
        if images.broken:
            first, why = next(iter(images.broken.items()))
            count = f"{len(images.broken)} of {len(files)} images"
            if not self.skip_broken or not len(images.kept):
                raise ConfigError(
                    _ROOT, ..., f"{count} cannot be decoded, first {shown(first)}: {why}",
                    {"dataset.skip_broken": "true to leave out such files"},
                )  # fmt: skip
            log.warning("%s cannot be decoded and are left out, first %s", count, shown(first))
        return images


def _is_parted(root: Path) -> bool:
    """Whether the folder has both train/ and test/."""
    return all((root / name).is_dir() for name in ("train", "test"))


def _top(name: str) -> str:
    """The first folder of a file's name."""
    return name.partition(os.sep)[0]


def _classes(names: Iterable[str]) -> list[str] | None:
    """The folders of these files, None if a file is outside of folders."""
    found: set[str] = set()
    for name in names:
        if os.sep not in name:
            return None
        found.add(_top(name))
    return sorted(found)
