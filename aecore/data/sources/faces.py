"""Cartoon faces that are drawn at first use, into a folder of images like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, final

from pydantic import Field
from tqdm import tqdm

from aecore.config.component import PositiveInt, Probability
from aecore.config.terminal import visible
from aecore.data.images.cache import making
from aecore.data.images.memory import InMemory
from aecore.data.sources.cartoon import VERSION, Face
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError
from aecore.version import FORMAT

CLASSES = ("glasses", "plain")


@final
class Faces(Source):
    """Cartoon faces, (3, S, S) uint8, with or without glasses, the same in every run.

    The first use draws `faces_format1_v<drawing>_<size>px_<images>/` in the data folder, with a
    subfolder for each class; from then on it is an image folder. Every size and number has a
    separate folder; the first images of a larger one are those of a smaller one.

    images: how many, of both splits. image_size: a side in pixels. For the rest see `ImageFolder`.
    """

    images: PositiveInt
    image_size: Annotated[int, Field(ge=16, le=1024)]
    skip_broken: bool
    test_fraction: Probability
    in_memory: InMemory
    cache_dir: str | None

    def load(self, split: Which, data_dir: Path) -> Split:
        """Decode one split of the folder, drawn if it is not there; see `ImageFolder.load`."""
        folder = data_dir / f"faces_format{FORMAT}_v{VERSION}_{self.image_size}px_{self.images}"
        if not folder.exists():
            self._make(folder)
        count = sum(len(list((folder / name).glob("*.png"))) for name in CLASSES)
        if count != self.images:
            raise UserError(
                f"{folder} has {count} of its {self.images} faces",
                "delete the folder, and they will be drawn again",
            )
        images = ImageFolder(
            root=str(folder),
            image_size=self.image_size,
            channels=3,
            skip_broken=self.skip_broken,
            test_fraction=self.test_fraction,
            in_memory=self.in_memory,
            cache_dir=self.cache_dir,
        )
        return images.load(split, data_dir)

    def _make(self, folder: Path) -> None:
        try:
            with making(folder) as made:
                if not folder.exists():
                    self._draw_all(made, f"drawing {visible(folder)}")
        except OSError as error:
            raise UserError(
                f"{folder} cannot be drawn ({error.strerror}): the folder of paths.data_dir "
                "(or AECORE_DATA_DIR) must have room and be writable"
            ) from error

    def _draw_all(self, folder: Path, title: str) -> None:
        for name in CLASSES:
            (folder / name).mkdir(parents=True)
        digits = len(str(self.images - 1))
        for i in tqdm(range(self.images), title, mininterval=2):
            face = Face(i, self.image_size)
            face.image().save(folder / CLASSES[not face.glasses] / f"{i:0{digits}}.png")
