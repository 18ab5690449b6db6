"""Data: sources, splits in memory and batches; `aecore.data.module` joins them for training."""

from aecore.data.arrays import Arrays
from aecore.data.batches import Batches
from aecore.data.celeba import CelebA
from aecore.data.digits import Digits
from aecore.data.dsprites import DSprites
from aecore.data.faces import Faces
from aecore.data.image_folder import ImageFolder
from aecore.data.shapes import Shapes
from aecore.data.split import Source, Split
from aecore.data.torchvision_sets import Torchvision
from aecore.data.uniform import Uniform

__all__ = [
    "Arrays",
    "Batches",
    "CelebA",
    "DSprites",
    "Digits",
    "Faces",
    "ImageFolder",
    "Shapes",
    "Source",
    "Split",
    "Torchvision",
    "Uniform",
]
