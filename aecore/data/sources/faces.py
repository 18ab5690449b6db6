"""Cartoon faces that are drawn at first use, into a folder of images like any other."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Annotated, final

from pydantic import Field
from tqdm import tqdm

from aecore.config.component import PositiveInt, Probability, component
from aecore.config.terminal import visible
from aecore.data.cartoons.cartoon import VERSION, draw
from aecore.data.cartoons.face import face
from aecore.data.images.memory import InMemory
from aecore.data.reading import check_writable
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError
from aecore.version import FORMAT

SEED = 0  # of the faces, the same in every run
CLASSES = ("glasses", "plain")


@final
class Faces(Source):
    """Cartoon faces, (3, S, S) uint8, with or without glasses, the same in every run.

    The first use draws `faces_format1_v<drawing>_<size>px_<images>/` in the data folder, with a
    subfolder for each class; from then on it is an image folder. Every size and number has a
    separate folder; the first images of a larger one are those of a smaller one.
    """

    @component
    def __init__(
        self,
        *,
        images: PositiveInt,
        image_size: Annotated[int, Field(ge=16, le=1024)],
        skip_broken: bool,
        test_fraction: Probability,
        in_memory: InMemory,
        cache_dir: str | None,
    ) -> None:
        """images: how many, of both splits. image_size: a side in pixels.

        For the rest see `ImageFolder`.
        """
        self.images = images
        self.image_size = image_size
        self.skip_broken = skip_broken
        self.test_fraction = test_fraction
        self.in_memory: InMemory = in_memory
        self.cache_dir = cache_dir

    def load(self, split: Which, data_dir: Path) -> Split:
        """Decode one split of the folder, drawn if it is not there; see `ImageFolder.load`."""
        folder = data_dir / f"faces_format{FORMAT}_v{VERSION}_{self.image_size}px_{self.images}"
        if not folder.exists():
            self._make(folder)
        found = sum(len(list((folder / name).glob("*.png"))) for name in CLASSES)
        if found != self.images:
            raise UserError(
                f"{folder} has {found} of its {self.images} faces",
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
        """Draw all faces into a temporary folder, and rename it.

        Of several simultaneous processes the first to finish wins, and the others stop.
        """
        check_writable(folder)
        temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        try:
            for name in CLASSES:
                (temporary / name).mkdir(parents=True)
            if self._draw_all(temporary, folder):
                os.rename(temporary, folder)
        except OSError as error:
            if not folder.exists():
                raise UserError(
                    f"{folder} cannot be drawn ({error.strerror or error}): the folder of "
                    "paths.data_dir (or AECORE_DATA_DIR) must have room and be writable"
                ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _draw_all(self, temporary: Path, folder: Path) -> bool:
        """Whether all faces were drawn; not where `folder` was there before."""
        digits = len(str(self.images - 1))
        seldom = 0.1 if sys.stderr.isatty() else 10.0  # seconds
        for i in tqdm(range(self.images), f"drawing {visible(folder)}", mininterval=seldom):
            if folder.exists():
                return False
            drawn = face(i, SEED)
            kind = CLASSES[drawn.glasses is None]
            draw(drawn, self.image_size).save(temporary / kind / f"{i:0{digits}}.png")
        return True
