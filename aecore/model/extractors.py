"""Networks whose features compare images: a small classifier of the data, and VGG-16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.data.batches import Batches
from aecore.data.split import Split
from aecore.errors import UserError

_M = TypeVar("_M", bound=nn.Module)
_BATCH, _RATE = 128, 2e-3
_EPOCH = 100  # mini-batches in an epoch of the extractor's classifier, at most
_VGG: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256, 256, 256))
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class Extractor(nn.Module):
    """Blocks of layers, the output of each a map of features."""

    blocks: nn.ModuleList

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, H, W) -> the features of each block, each (N, channels, H, W)."""
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features


class SmallExtractor(Extractor):
    """Three convolutions that halve the image twice."""

    WIDTH = 64

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 16, 32, self.WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, 2 if n else 1, 1), nn.ReLU())
            for n, (before, after) in enumerate(pairwise(widths))
        )


class SmallClassifier(nn.Module):
    """An extractor, and a linear layer of its last map.

    The layer sees where a feature is: on mean activations a classifier learns far more slowly.
    seen: maps pixels (N, C, H, W) to the input of the extractor.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        classes: int,
        seen: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.seen = seen
        self.extractor = SmallExtractor(channels)
        places = -(-height // 4) * -(-width // 4)
        self.head = nn.Linear(SmallExtractor.WIDTH * places, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, classes)."""
        logits: Tensor = self.head(self.extractor(self.seen(x))[-1].flatten(1))
        return logits


def trained_extractor(
    split: Split, seen: Callable[[Tensor], Tensor], epochs: int, seed: int, device: torch.device
) -> SmallExtractor:
    """That of a classifier of the labels of a split. seen: maps pixels to its input."""
    assert split.labels is not None, "a classifier learns labels"
    make = partial(SmallClassifier, *split.image_shape, int(split.labels.max()) + 1, seen)
    return train_classifier(make, split, epochs, seed, device, limit=_EPOCH).extractor


class VGG(Extractor):
    """The first seven convolutions of VGG-16 (Simonyan & Zisserman 2015), for pixels in [0, 1].

    Grey images are shown as colour.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.blocks, before = nn.ModuleList(), 3
        for n, widths in enumerate(_VGG):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if n else []
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, 1, 1), nn.ReLU()]
                before = width
            self.blocks.append(nn.Sequential(*layers))
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 1 or 3, H, W) -> the features of each block."""
        return super().forward((x - self.mean) / self.std)

    def load(self) -> None:
        """Read torchvision's weights, downloaded where they are not on disk; UserError if not."""
        from torchvision.models import VGG16_Weights  # slow

        weights = VGG16_Weights.IMAGENET1K_V1
        try:
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:
            place = f"{torch.hub.get_dir()}/checkpoints/{weights.url.rpartition('/')[2]}"
            raise UserError(
                f"reconstruction.perceptual.weights=vgg: {weights.url} cannot be read: {error}",
                f"put that file at {place}, or use reconstruction.perceptual.weights=data",
            ) from error
        mine = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        theirs = [k.removesuffix(".weight") for k, v in state.items() if v.dim() == 4]
        for layer, name in zip(mine, theirs, strict=False):
            layer.load_state_dict({k: state[f"{name}.{k}"] for k in ("weight", "bias")})


def train_classifier(
    make: Callable[[], _M],
    split: Split,
    epochs: int,
    seed: int,
    device: torch.device,
    limit: int | None = None,
) -> _M:
    """A classifier of the labels of a split; a pure function of its arguments.

    By Adam, with a rate that falls to 0. The generators of PyTorch are left as they were.
    make: the classifier, not trained yet: pixels (N, C, H, W) -> logits (N, classes).
    limit: mini-batches in an epoch, at most.
    """
    devices = [device] if device.type == "cuda" else []
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.random.fork_rng(devices), torch.enable_grad(), exact:
        torch.manual_seed(seed)
        model = make().to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
        batches = Batches(split, _BATCH, shuffle=True, seed=seed, chunk=None, limit=limit)
        steps = epochs * batches.steps
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
        for epoch in range(epochs):
            batches.set_epoch(epoch)
            for batch in (batch for chunk in batches for batch in chunk):
                assert batch.y is not None, "the split has labels"
                optimizer.zero_grad()
                logits = model(batch.x.to(device))
                torch.autograd.backward(F.cross_entropy(logits, batch.y.to(device)))
                optimizer.step()
                falling.step()
    return model.eval().requires_grad_(False)
