"""Models and pages for the tests of the experiments' figures."""

from __future__ import annotations

import numpy as np
import torch
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from aecore.config.folders import CONF
from aecore.data.split import Split
from aecore.evaluation.trial import Trial
from aecore.model.latents.deterministic import Spatial
from aecore.model.networks.conv_unpool import ConvUnpool
from helpers import models as making

WORDS = (
    "code_correlation", "code_noise", "codes", "error_distribution", "feature_maps",
    "activity", "interpolation_gif", "jacobian", "kernels", "robustness", "traversals",
    "weight_product",
)  # fmt: skip
NODES = {
    name: yaml.safe_load((CONF / "figures" / f"{name}.yaml").read_text())[name] for name in WORDS
}
VARIANTS = [[f"model={path.stem}"] for path in sorted((CONF / "model").glob("*.yaml"))]
ROBUST = {"kind": "gaussian", "largest": 1.0, "levels": 3, "images": 40}


def trial_of(n: int = 40, shape: tuple[int, int, int] = (1, 4, 4), **changes: object) -> Trial:
    """A model of untrained words that looks at random images of three classes."""
    model = making.model(image_shape=shape, **changes).eval()
    images = Split(making.images(n, *shape), torch.arange(n) % 3)
    return Trial(model, images, read_training=lambda: images)


def unpool(**changes: object) -> ConvUnpool:
    values = {
        "channels": [4],
        "kernel_size": 3,
        "up": "conv",
        "activation": "relu",
        "output_activation": None,
        "bias": True,
    }
    return ConvUnpool(**(values | changes))  # type: ignore[arg-type]


def convolutional(**changes: object) -> Trial:
    spatial = Spatial(channels=None, activation=None)
    return trial_of(20, (1, 8, 8), network=making.conv(4), latent=spatial, **changes)


def row(axes: Axes, count: int) -> Tensor:
    """The images of a row as they were drawn, (count, 3, H, W) without the gaps."""
    drawn = torch.as_tensor(np.asarray(axes.images[0].get_array())).permute(2, 0, 1)
    height, total = drawn.shape[1:]
    gap = (total - count * height) // (count - 1)
    return torch.stack([drawn[:, :, n * (height + gap) :][:, :, :height] for n in range(count)])


def title(figure: Figure) -> str:
    return figure.texts[0].get_text()


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]
