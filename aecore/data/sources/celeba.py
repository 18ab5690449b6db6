"""CelebA, through torchvision's dataset class."""

from __future__ import annotations

from pathlib import Path
from typing import final

from aecore.config.component import PositiveInt
from aecore.data.images.cache import cache_folder, decoded
from aecore.data.images.decode import Recipe
from aecore.data.images.files import Files
from aecore.data.images.memory import InMemory
from aecore.data.images.sizes import ImageSize, height_width
from aecore.data.sources.fetch import damaged, fetch
from aecore.data.split import Source, Split, Which
from aecore.errors import UserError


@final
class CelebA(Source):
    """Faces, (3, H, W) uint8, without labels, split as its authors did.

    A centred square of `crop` pixels of the aligned 178 x 218 images is resized to `image_size`.
    Source: Z. Liu et al., Deep Learning Face Attributes in the Wild, ICCV 2015.

    image_size: a side, or [H, W]. crop: a side in pixels of the original.
    in_memory, cache_dir: as of `ImageFolder`.
    """

    image_size: ImageSize
    crop: PositiveInt
    in_memory: InMemory = "auto"
    cache_dir: str | None = None

    def load(self, split: Which, data_dir: Path) -> Split:
        """Decode one split of `celeba/` in the data folder, downloaded if it is not there."""
        from torchvision import datasets  # slow

        folder = data_dir / datasets.CelebA.base_folder
        pictures = folder / "img_align_celeba"
        lists = {folder / name: md5 for _, md5, name in datasets.CelebA.file_list}
        lists = {path: md5 for path, md5 in lists.items() if path.suffix == ".txt"}
        fetch(
            lambda: datasets.CelebA(data_dir, download=True),
            {**lists, pictures: None},
            " (the download needs `pip install gdown`)",
        )
        try:
            names = datasets.CelebA(data_dir, split=split, target_type=[]).filename
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{folder}: {error}") from error
        recipe = Recipe(height_width(self.image_size), 3, self.crop)
        cache = cache_folder(self.cache_dir, data_dir)
        images = decoded(Files(pictures, names), split, recipe, self.in_memory, cache)
        if images.broken:
            first, why = next(iter(images.broken.items()))
            raise damaged(first, f"{why} ({len(images.broken)} of {len(names)} images)")
        return Split(images.images, names=tuple(names), rows=images.rows)
