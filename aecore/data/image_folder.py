"""Any folder of images."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePath
from typing import Annotated, Literal, final

import torch
from pydantic import Field

from aecore.data.decode import Recipe, all_grey, decode_all
from aecore.data.split import Source, Split, Which, fixed_part
from aecore.errors import UserError
from aecore.words import PositiveInt, Probability, word

log = logging.getLogger("aecore")

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

ImageSize = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


def height_width(size: int | list[int]) -> tuple[int, int]:
    """(H, W) of an image size that may be one number for a square."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _shown(path: PurePath) -> str:
    """A path that can always be printed, whatever bytes the file system holds."""
    return os.fsencode(path).decode(errors="replace")


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed must not make its images vanish silently."""
    where = _shown(PurePath(str(error.filename)))
    raise UserError(f"dataset.root: {where} cannot be read: {error.strerror}") from error


def _images_under(root: Path) -> list[Path]:
    """Image files at any depth, sorted by their path; hidden files and folders are left out."""
    found: list[Path] = []
    seen: set[str] = set()  # folders by their real path: links may lead in a circle
    for folder, below, files in os.walk(root, onerror=_refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if not name.startswith((".", "__MACOSX"))]
        here = Path(folder)
        found += [
            here / name
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
        ]
    return sorted(found, key=lambda path: path.relative_to(root).parts)


@final
class ImageFolder(Source):
    """The images under a folder, at any depth, decoded once to uint8 (C, H, W).

    Splits: where the root has both `train/` and `test/`, these are the splits and anything else
    (`val/` too: validation images are drawn from train) is left out with a warning; else
    `test_fraction` of the images is the test split, by a fixed permutation of the sorted paths.
    Labels: where all images lie in subfolders (of the root, or of train/ and test/), the first
    folder below is the class; else there are none.
    Pixels: the shorter side is resized to fit and the centre cut out, antialiased; 16 bits become
    8, transparency lies on white, EXIF rotation is applied, of an animation the first frame counts.
    """

    @word
    def __init__(
        self,
        *,
        root: str | None,
        image_size: ImageSize,
        channels: Literal["auto", 1, 3],
        skip_broken: bool,
        test_fraction: Probability,
    ) -> None:
        """root: the folder; None is refused by `load`. image_size: a side, or [H, W].

        channels: 1 grey, 3 RGB, "auto" grey where every file is.
        skip_broken: leave out what cannot be decoded (with a warning) instead of refusing it all.
        """
        self.root = root
        self.size = height_width(image_size)
        self.channels = channels
        self.skip_broken = skip_broken
        self.test_fraction = test_fraction

    def load(self, split: Which, data_dir: Path) -> Split:
        """Decode one split; `data_dir` is not used."""
        root = self._folder()
        given = all((root / name).is_dir() for name in ("train", "test"))
        parts = [root / "train", root / "test"] if given else [root]
        found = {part: _images_under(part) for part in parts}
        names = {path: path.relative_to(part) for part in parts for path in found[part]}
        if given:
            paths = found[root / split]
            self._warn_of_left_out(root, split)
        else:
            index = fixed_part(len(names), self.test_fraction, split)
            paths = [found[root][i] for i in index.tolist()]
        if not paths:
            raise self._nothing(root, split, len(names), given)
        channels = self.channels
        if channels == "auto":
            channels = 1 if all_grey(list(names)) else 3
        return self._decoded(paths, names, channels)

    def _folder(self) -> Path:
        if self.root is None:
            raise UserError(
                "dataset.root=null: say which folder of images to use, dataset.root=/a/folder"
            )
        root = Path(self.root).expanduser().absolute()
        if not root.exists():
            raise UserError(f"dataset.root={_shown(root)}: there is no such folder")
        if not root.is_dir():
            raise UserError(
                f"dataset.root={_shown(root)} is a file; it must be a folder of images\n"
                "For .npz or .npy files: dataset=arrays dataset.path=..."
            )
        return root

    def _nothing(self, root: Path, split: Which, total: int, given: bool) -> UserError:
        if total == 0 or given:
            where = _shown(root / split if given else root)
            return UserError(
                f"dataset.root={_shown(root)}: no images under {where}\n"
                f"Looked for {' '.join(sorted(EXTENSIONS))} at any depth."
            )
        return UserError(
            f"dataset.test_fraction={self.test_fraction} leaves none of the {total} images of "
            f"{_shown(root)} for the {split} split"
        )

    def _warn_of_left_out(self, root: Path, split: Which) -> None:
        others = sorted(
            entry.name
            for entry in root.iterdir()
            if entry.is_dir() and entry.name not in {"train", "test"} and entry.name[0] != "."
        )
        if others and split == "train":
            log.warning(
                "dataset.root=%s: only train/ and test/ are used, not %s",
                _shown(root),
                ", ".join(f"{_shown(PurePath(name))}/" for name in others),
            )

    def _decoded(self, paths: list[Path], names: dict[Path, Path], channels: int) -> Split:
        """Decode; names hold every image of the data set, so both splits number classes alike."""
        log.info("decoding %d images", len(paths))
        decoded = decode_all(paths, Recipe(self.size, channels))
        if decoded.broken:
            first, why = next(iter(decoded.broken.items()))
            count = f"{len(decoded.broken)} of {len(paths)} images"
            if not self.skip_broken or not len(decoded.kept):
                raise UserError(
                    f"{_shown(first)} cannot be decoded: {why.replace(str(first), first.name)}\n"
                    f"{count} cannot; dataset.skip_broken=true leaves such files out."
                )
            log.warning("%s cannot be decoded and are left out, first %s", count, _shown(first))
        kept = [names[paths[i]] for i in decoded.kept.tolist()]
        labels, classes = None, None
        if all(len(name.parts) > 1 for name in names.values()):
            classes = sorted({name.parts[0] for name in names.values()})
            number = {name: i for i, name in enumerate(classes)}
            labels = torch.tensor([number[name.parts[0]] for name in kept], dtype=torch.int64)
        return Split(
            images=decoded.images,
            labels=labels,
            names=tuple(_shown(name) for name in kept),
            class_names=None if classes is None else tuple(_shown(PurePath(c)) for c in classes),
        )
