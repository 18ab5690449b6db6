"""Any folder of images."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal, final

import torch
from torch import Tensor
from typing_extensions import override

from aecore.config.component import PositiveFloat, Probability
from aecore.config.folders import expanded
from aecore.data.images.cache import cache_folder, decoded
from aecore.data.images.decode import Recipe, shape_of
from aecore.data.images.files import Files, extensions, images_under, shown
from aecore.data.images.many import Decoded, all_grey, count_paged, inspect, largest_value
from aecore.data.images.masks import mask_names, read_masks
from aecore.data.images.memory import InMemory
from aecore.data.images.partners import partners as partners_of
from aecore.data.images.sizes import ImageSize, by_size, height_width
from aecore.data.images.split_folders import SplitFolders, split_folders
from aecore.data.split import SizeGroup, Source, Split, Which, fixed_part
from aecore.errors import ConfigError
from aecore.types import ImageShape

log = logging.getLogger("aecore")
_ROOT = "dataset.root"
_LOOKED_AT = 1000  # images, to find the largest pixel and other sizes


@final
class ImageFolder(Source):
    """The images under a folder, at any depth, decoded once to uint8 (C, H, W).

    Splits: where the root has folders `train/` and `test/`, in any usual spelling, these are the
    splits (see `split_folders`); else `test_fraction` of the images is the test split, by a fixed
    permutation of the sorted paths.
    Masks: those of the test images below `ground_truth/`, where it stands beside `train/` and
    `test/` (the layout of MVTec AD, see `mask_names`); classes of `train/` need none.
    Labels: where all images lie in subfolders (of the root, or of train/ and test/), the first
    folder below is the class; else there are none.
    Pixels: the shorter side is resized to fit and the centre cut out, antialiased; 16 bits become
    8, on white background, EXIF rotation is applied, of files of several pages the first counts.
    What is left out is named in a warning, with its count.

    root: the folder; None is refused by `load`. image_size: a side, or [H, W].
    channels: 1 grey, 3 RGB, "auto" grey where every file is.
    skip_broken: leave out what cannot be decoded (with a warning) instead of refusing it all.
    in_memory: false keeps the decoded images in a file that is mapped into memory; "auto" does
    so where they would take over a quarter of the memory at hand. The numbers are the same.
    cache_dir: folder of such files; None for `cache/` in the data folder.
    white: the pixel value that is white, 4095 for 12 bits; None for the largest of the file's
    type, 255 or 65535.
    targets: folder of images of equal names, which the outputs are compared with; None for none.
    """

    root: str | None
    image_size: ImageSize
    channels: Literal["auto", 1, 3]
    skip_broken: bool
    test_fraction: Probability
    in_memory: InMemory = "auto"
    cache_dir: str | None = None
    white: PositiveFloat | None = None
    targets: str | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError for `skip_broken` with targets: each image needs its own."""
        if self.targets is not None and self.skip_broken:
            hint = {"dataset.skip_broken": False}
            raise ConfigError("dataset.skip_broken", True, "does not go with dataset.targets", hint)
        self._channels = None if self.channels == "auto" else self.channels

    def load(self, split: Which, data_dir: Path) -> Split:
        """Decode one split, or read what an earlier load left in the cache."""
        folders, by_folder = self._files_by_folder()
        part: str = split
        files = by_folder[-1] if split == "test" else by_folder[0]
        if len(by_folder) == 1 and len(files):
            files = files.at(fixed_part(len(files), self.test_fraction, split).tolist())
            part += f" of test_fraction={self.test_fraction}"
            if not len(files):
                raise self._none_left(split, len(by_folder[0]))
        if split == "train":
            self._warn_of_left_out(folders.note, by_folder)
            self.note = self._resizing(files)
        loaded = self._decoded(files, part, by_folder, data_dir)
        if split == "train" or folders.masks is None:
            return loaded
        recipe = Recipe(height_width(self.image_size), 1)
        masks = read_masks(files, folders.masks, _masks(folders.masks, by_folder), recipe)
        kept = set(loaded.names or ())
        return replace(loaded, masks=masks[[shown(name) in kept for name in files.names]])

    @override
    def whole(self, data_dir: Path) -> tuple[Split, Tensor]:
        folders, by_folder = self._files_by_folder()
        files, *others = by_folder
        if others:
            return super().whole(data_dir)
        self._warn_of_left_out(folders.note, by_folder)
        whole = self._decoded(files, "all", by_folder, data_dir)
        index = fixed_part(len(files), self.test_fraction, "test").tolist()
        test = {shown(files.names[i]) for i in index}
        places = [place for place, name in enumerate(whole.names or ()) if name in test]
        return whole, torch.tensor(places, dtype=torch.int64)

    def shape_mismatch(self, shape: ImageShape) -> str | None:
        """The first file that is not of that size, or not grey where the model wants grey."""
        for files in self._files_by_folder()[1]:
            for path, actual in zip(files, inspect(files, shape_of), strict=True):
                if actual is not None and actual != shape:
                    kind = "grey" if actual[0] == 1 else "colour"
                    return f"{shown(path)} is {kind}, {actual[1]} high and {actual[2]} wide"
        return None

    @override
    def each_size(self, data_dir: Path) -> list[SizeGroup]:
        folders, by_folder = self._files_by_folder()
        self._warn_of_left_out(folders.note, by_folder)
        groups, before, converted = [], 0, 0
        for files in by_folder:
            shapes = [*inspect(files, shape_of)]
            converted += sum(shape is not None and shape[0] != self.channels for shape in shapes)
            for size, places in by_size(shapes, height_width(self.image_size)).items():
                part = f"all of {size[0]}x{size[1]}"
                images = self._decoded(files.at(places), part, by_folder, data_dir, size)
                kept = {shown(files.names[place]): before + place for place in places}
                order = torch.tensor([kept[name] for name in images.names or ()])
                groups.append(SizeGroup(order, images))
            before += len(files)
        if converted and self.channels != "auto":
            kinds = ("colour", "grey") if self.channels == 1 else ("grey", "colour")
            log.warning(
                "dataset.root=%s: %s images are read as %s (%d)", self.root, *kinds, converted
            )
        return groups

    def _files_by_folder(self) -> tuple[SplitFolders, list[Files]]:
        """Where the splits lie, and the files of each folder."""
        folders = split_folders(self._folder())
        by_folder = [images_under(part) for part in (folders.train, folders.test) if part]
        if folders.masks is not None:
            _masks(folders.masks, by_folder)  # refuses before any training
        return folders, by_folder

    def _decoded(
        self,
        files: Files,
        part: str,
        by_folder: Sequence[Files],
        data_dir: Path,
        size: tuple[int, int] | None = None,
    ) -> Split:
        """Some of the files that were found. part: which these are. size: None for `image_size`."""
        if not len(files):
            hint = f"looked for {' '.join(sorted(extensions()))} at any depth"
            raise ConfigError(_ROOT, self.root, f"no images under {shown(files.root)}", hint)
        channels = self._channels_of(by_folder)
        recipe = Recipe(size or height_width(self.image_size), channels, white=self.white)
        cache = cache_folder(self.cache_dir, data_dir)
        images = self._checked(files, decoded(files, part, recipe, self.in_memory, cache))
        targets = None
        if self.targets is not None:
            partners = self._partners(files)
            kept = self.in_memory if images.rows is None else False
            targets = self._checked(partners, decoded(partners, part, recipe, kept, cache))
            if images.rows is None and targets.rows is not None:  # the memory had room for one
                images = decoded(files, part, recipe, False, cache)
        names = [files.names[i] for i in images.kept.tolist()]
        # Of every image of the data set, so both splits number classes alike.
        classes = _classes(name for part in by_folder for name in part.names)
        labels = None
        if classes is not None:
            number = {name: i for i, name in enumerate(classes)}
            labels = torch.tensor([number[_top(name)] for name in names], dtype=torch.int64)
        return Split(
            images=images.images,
            labels=labels,
            names=tuple(map(shown, names)),
            class_names=None if classes is None else tuple(map(shown, classes)),
            rows=images.rows,
            targets=None if targets is None else targets.images,
        )

    def _channels_of(self, by_folder: Sequence[Files]) -> int:
        """The same of both splits: `auto` looks once at every image of the data set."""
        if self._channels is None:
            every = [*by_folder, *(self._partners(some) for some in by_folder if self.targets)]
            self._channels = 1 if all_grey(chain.from_iterable(every)) else 3
        return self._channels

    def _partners(self, files: Files) -> Files:
        """The targets of some files; `targets` is given."""
        return partners_of(files, self._folder(), expanded(self.targets or "").absolute())

    def _resizing(self, files: Files) -> str:
        """That some of the first files are resized and cropped; empty where none is."""
        height, width = height_width(self.image_size)
        shapes = inspect(files.at(range(min(len(files), _LOOKED_AT))), shape_of)
        others = any(shape is not None and shape[1:] != (height, width) for shape in shapes)
        return f"resized and cropped to {height}x{width}" if others else ""

    def _folder(self) -> Path:
        if self.root is None:
            problem = "which folder of images is to be read?"
            raise ConfigError(_ROOT, None, problem, {_ROOT: "/a/folder"})
        root = expanded(self.root).absolute()
        if not root.exists():
            raise ConfigError(_ROOT, shown(root), "there is no such folder")
        if not root.is_dir():
            hint = "for .npz or .npy files: dataset=arrays dataset.path=..."
            raise ConfigError(_ROOT, shown(root), "is a file; it must be a folder of images", hint)
        return root

    def _none_left(self, split: str, total: int) -> ConfigError:
        return ConfigError(
            "dataset.test_fraction", self.test_fraction,
            f"none of the {total} images of {shown(str(self.root))} is left for the {split} split",
            "give more images" if total < 2 else {"dataset.test_fraction": 0.1},
        )  # fmt: skip

    def _warn_of_left_out(self, note: str, by_folder: Sequence[Files]) -> None:
        """One line each on folders, files and pages that are not used."""
        if note:
            log.warning("dataset.root=%s: %s", self.root, note)
        self._warn_of_files("root", self.root, by_folder)
        if self.targets is not None:
            targets = [self._partners(files) for files in by_folder]
            self._warn_of_files("targets", self.targets, targets)

    def _warn_of_files(self, key: str, folder: str | None, by_folder: Sequence[Files]) -> None:
        notes = []
        others = sum((Counter(files.left_out) for files in by_folder), Counter())
        if others:
            kinds = ", ".join(f"{shown(kind)} ({n:,})" for kind, n in others.most_common(5))
            more = ", ..." if len(others) > 5 else ""
            notes.append(f"{others.total():,} other files are not used: {kinds}{more}")
        if paged := sum(map(count_paged, by_folder)):
            notes.append(f"files of which only the first page is used: {paged:,}")
        for text in notes:
            log.warning("dataset.%s=%s: %s", key, folder, text)

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

    @override
    def white_hint(self, largest: float) -> str:
        folder = split_folders(self._folder()).train
        files = images_under(folder)
        value = largest_value(files.at(range(min(len(files), _LOOKED_AT))))
        return f"use dataset.white={value:g} if that is white"


def _masks(folder: Path, by_folder: Sequence[Files]) -> dict[int, str]:
    """The masks of the test images, where these are the training and the test images."""
    train, test = by_folder
    return mask_names(test, folder, {_top(name) for name in train.names if os.sep in name})


def _top(name: str) -> str:
    """The first folder of a file's name."""
    return name.partition(os.sep)[0]


def _classes(names: Iterable[str]) -> list[str] | None:
    """The folders of these files, None if a file is outside of folders."""
    folders: set[str] = set()
    for name in names:
        if os.sep not in name:
            return None
        folders.add(_top(name))
    return sorted(folders)
