"""The masks of anomalous pixels: files with the names of images, in another folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from aecore.data.images.decode import Recipe, shape_of
from aecore.data.images.files import Files, images_under, shown
from aecore.data.images.many import decode_all, inspect
from aecore.errors import ConfigError

_KEY = "dataset.root"


def mask_names(files: Files, folder: Path, good: Collection[str]) -> dict[int, str]:
    """The mask below `folder` of each image that has one, by the place of the image.

    A mask has the path of its image, with or without `_mask` at the end of its name, and any
    extension, as in MVTec AD (Bergmann et al. 2019). good: the first folders of normal images,
    which need none. Raises ConfigError for another image without a mask, a mask without an image.
    """
    masks: dict[str, str] = {}
    for name in images_under(folder).names:
        stem = os.path.splitext(name)[0].removesuffix("_mask")
        if stem in masks:
            raise _refused(folder, f"{shown(masks[stem])} and {shown(name)} are of one image")
        masks[stem] = name
    of_images = {}
    for i, name in enumerate(files.names):
        mask = masks.pop(os.path.splitext(name)[0], None)
        if mask is not None:
            of_images[i] = mask
        elif os.sep not in name or name.partition(os.sep)[0] not in good:
            raise _refused(folder, f"holds no mask of {shown(files.root.name)}/{shown(name)}")
    for name in masks.values():
        problem = f"{shown(name)} is the mask of no image of {shown(files.root.name)}/"
        raise _refused(folder, problem)
    return of_images


def read_masks(files: Files, folder: Path, names: Mapping[int, str], recipe: Recipe) -> Tensor:
    """The masks of images, (N, 1, H, W) bool, resized and cut as `recipe` does the images.

    names: of `mask_names`; other images have empty ones. A pixel is anomalous where the file has
    more than half of its largest value, so 0 and 1 will do as well as 0 and 255.
    Raises ConfigError for a file that cannot be decoded, or is not as large as its image.
    """
    masks = torch.zeros(len(files), 1, *recipe.size, dtype=torch.bool)
    some, images = Files(folder, list(names.values())), files.at(names)
    pairs = zip(some.names, inspect(some, shape_of), inspect(images, shape_of), strict=True)
    for name, mask, image in pairs:
        if mask is not None and image is not None and mask[1:] != image[1:]:
            sizes = " and its image ".join(f"{h}x{w}" for _, h, w in (mask, image))
            raise _refused(folder, f"{shown(name)} is {sizes} (height x width)")
    decoded = decode_all(some, Recipe(recipe.size, 1, nearest=True))
    for path, why in decoded.broken.items():
        raise _refused(folder, f"{shown(path.name)} cannot be decoded: {why}")
    if names:
        pixels = decoded.images
        masks[list(names)] = pixels > pixels.amax((1, 2, 3), keepdim=True) / 2
    return masks


def _refused(folder: Path, problem: str) -> ConfigError:
    hint = f"correct it, or rename {shown(folder.name)}/ to use the images without masks"
    return ConfigError(_KEY, shown(folder), problem, hint)
