"""The 1,797 handwritten digits that scikit-learn brings along."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
import torch

from aecore.data.split import Source, Split, Which

TEST_IMAGES = 360


@final
class Digits(Source):
    """(1, 8, 8) float32 images in [0, 1]; 1,437 to train, 360 to test, the same in every run.

    The split is stratified and in mixed order. Source: E. Alpaydin, C. Kaynak, Optical
    Recognition of Handwritten Digits, UCI 1998 (its test set).
    """

    def load(self, split: Which, data_dir: Path) -> Split:
        """Read the copy of scikit-learn; `data_dir` is not used."""
        from sklearn.datasets import load_digits  # slow
        from sklearn.model_selection import train_test_split

        pixels, labels = load_digits(return_X_y=True)
        train, test = train_test_split(
            np.arange(len(labels)), test_size=TEST_IMAGES, stratify=labels, random_state=0
        )
        index = train if split == "train" else test
        images = torch.from_numpy(pixels[index]).to(torch.float32).div_(16)  # 17 grey levels
        return Split(
            images=images.view(-1, 1, 8, 8),
            labels=torch.from_numpy(labels[index]).to(torch.int64),
            class_names=tuple("0123456789"),
        )
